"""A simulated Chatwoot on a port, the client that the product uses, and comparisons of both sides."""

from tests.support.chatwoot import connect, simulator, studio

__all__ = ["connect", "simulator", "studio"]
