"""The certificate authorities that this machine trusts."""

import ssl
from functools import cache

import httpx2


@cache
def ssl_context() -> ssl.SSLContext:
    """Return the TLS context of clients. It is loaded once, since loading takes longer than a request."""
    return httpx2.create_ssl_context()
