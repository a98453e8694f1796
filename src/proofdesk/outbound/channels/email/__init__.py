"""The channel `email`: SMTP through a mail relay."""
