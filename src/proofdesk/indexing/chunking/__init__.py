"""Cutting conversations into chunks: the rules, pure, and the SQL that reads messages and stores chunks."""
