"""Reads commitments from the text of messages. Pure."""
