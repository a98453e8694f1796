from tests.support.chatwoot import connect, simulator

__all__ = ["connect", "simulator"]
