"""How the installation fares, in numbers: what each server process counts, and what the database holds."""
