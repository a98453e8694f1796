"""Reading from Chatwoot through its API: sync, reconcile, quarantine."""
