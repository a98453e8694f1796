from tests.http.api.server import anyone, cast, server

__all__ = ["anyone", "cast", "server"]
