"""The words of each language that the extractor knows. Data only."""
