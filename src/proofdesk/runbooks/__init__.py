"""Incidents that explain themselves: what to look at, which cause it is, what to do, and the evidence of it."""
