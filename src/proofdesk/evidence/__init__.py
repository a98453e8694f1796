"""Evidence: references to the messages and chunks that support a statement."""
