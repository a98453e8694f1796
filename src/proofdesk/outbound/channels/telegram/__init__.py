"""The channel `telegram`: the Bot API."""
