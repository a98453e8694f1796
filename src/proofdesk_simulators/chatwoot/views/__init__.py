"""JSON forms of the records, key for key as Chatwoot 4.15.1 renders them."""
