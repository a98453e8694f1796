"""The channel `email`: SMTP through a relay."""
