"""Worlds to back up."""

from tests.isolation.conftest import ours

__all__ = ["ours"]
