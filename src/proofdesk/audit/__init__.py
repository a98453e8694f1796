"""The audit log: who did what, in chains that prove that no event was changed."""
