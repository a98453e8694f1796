"""Proofdesk: Chatwoot conversations as searchable evidence, and governed outbound messages."""

__version__ = "0.1.0"
