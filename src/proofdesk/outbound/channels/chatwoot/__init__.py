"""The channel `chatwoot`: a message into a conversation."""
