"""The channel `chatwoot`: a message in a conversation."""
