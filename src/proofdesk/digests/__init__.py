"""Digests: what happened in a project in a day or a week, sent to the users who asked for it."""
