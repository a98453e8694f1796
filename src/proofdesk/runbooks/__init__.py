"""Runbooks: checks that find the cause of an incident, its fixes, and an evidence bundle for support."""
