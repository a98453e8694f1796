"""Commitments: what was promised to whom by when, read from messages and kept in a register."""
