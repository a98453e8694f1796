"""Delivery: claims, attempts, their outcomes, the sweep, and what channels report afterwards."""
