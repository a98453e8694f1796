"""Channels: what carries a message to its recipient. One folder for each, behind the protocol in `interface`."""
