from tests.chatwoot.conftest import connect, simulator
from tests.http.api.server import anyone, cast, server

__all__ = ["anyone", "cast", "connect", "server", "simulator"]
