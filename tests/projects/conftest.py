from tests.api.server import anyone, cast, server
from tests.chatwoot.conftest import connect, simulator

__all__ = ["anyone", "cast", "connect", "server", "simulator"]
