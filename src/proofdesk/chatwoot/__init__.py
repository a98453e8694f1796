"""Chatwoot: read through its API, kept as an exact mirror, checked for completeness."""
