"""Search by keywords, by vectors, and by both."""
