"""The checks of each runbook, one file per runbook."""
