"""Data review: what was imported, as it is stored."""
