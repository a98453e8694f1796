"""Finding messages by meaning and by words, as evidence."""
