"""TLS: the certificate authorities that this machine trusts, and whether a port speaks it."""

import asyncio
import contextlib
import ssl
from functools import cache

import httpx2


@cache
def ssl_context() -> ssl.SSLContext:
    """Return the TLS context of clients. It is loaded once, since loading takes longer than a request."""
    return httpx2.create_ssl_context()


async def speaks_tls(host: str, port: int) -> bool:
    """Return whether a server speaks TLS on a port, whatever its certificate. Waits three seconds at most."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(3):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
            writer.close()
            return True
    return False
