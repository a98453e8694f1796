"""Accounts, sessions, and the limits of failed attempts."""
