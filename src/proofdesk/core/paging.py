"""Bounds of lists that pages, JSON routes and commands share."""

MAX_LIMIT = 500
"""Rows of one answer at most."""

MAX_SHORT_LIMIT = 200
"""The same for rows that are long, such as outbound messages and evidence."""

MAX_OFFSET = 10_000_000
