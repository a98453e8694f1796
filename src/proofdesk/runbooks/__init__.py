"""Runbooks: what can break, checks that look at the real thing, and the cause by name."""
