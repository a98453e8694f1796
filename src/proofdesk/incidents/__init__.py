"""Incidents: failing checks of runbooks open them, people are notified, and checks that pass close them."""
