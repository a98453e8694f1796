"""Search: find chunks of conversations by keywords and by embeddings, as evidence."""
