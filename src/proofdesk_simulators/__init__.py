"""Stand-ins for the outside world: used by the tests and by `proofdesk demo`."""
