"""Embedding providers: the local model and OpenAI-compatible servers."""
