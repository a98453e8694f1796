from tests.isolation.conftest import ours

__all__ = ["ours"]
