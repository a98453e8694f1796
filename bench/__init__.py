"""Benchmarks. Each compares a measurement with a floor of the same run. `make bench` runs them all."""
