"""Embeddings: messages are cut into chunks, and chunks get the vectors that search compares."""
