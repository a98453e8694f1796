"""Small parts that every package may use."""
