"""The certificate authorities that this machine trusts."""

import ssl
from functools import cache

import httpx2


@cache
def ssl_context() -> ssl.SSLContext:
    """What clients hold servers against. It is read once: each of them would do so anew, for longer than it asks."""
    return httpx2.create_ssl_context()
