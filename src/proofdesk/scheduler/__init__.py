"""Runs of jobs, and when they are due."""
