"""How fast it is: programs that measure against a floor taken in the same run. `make bench` runs them all."""
