"""The simulator's clock: real time unless a test freezes or moves it."""

import time


class Clock:
    """Unix seconds in UTC, as a float with microseconds."""

    def __init__(self) -> None:
        self._frozen_at: float | None = None
        self._offset = 0.0

    def now(self) -> float:
        base = time.time() if self._frozen_at is None else self._frozen_at
        return round(base + self._offset, 6)

    def freeze(self, at: float) -> None:
        """Stop the clock at this time. `advance` still moves it."""
        self._frozen_at, self._offset = at, 0.0

    def advance(self, seconds: float) -> None:
        self._offset += seconds

    def run(self) -> None:
        """Follow real time again."""
        self._frozen_at, self._offset = None, 0.0
