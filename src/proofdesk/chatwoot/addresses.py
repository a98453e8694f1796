"""What a failed connection proves about CHATWOOT_BASE_URL."""

import socket

from aiohttp import ClientConnectorCertificateError, ClientConnectorDNSError, ClientConnectorSSLError, ClientError


def find_fault(error: ClientError, *, expects_tls: bool) -> str | None:
    """Return what is wrong with CHATWOOT_BASE_URL if that is certain, else None."""
    if expects_tls:
        return "the port expects https. Begin CHATWOOT_BASE_URL with https://."
    if isinstance(error, ClientConnectorCertificateError):
        return f"its certificate is not trusted ({error.certificate_error}). Check the host in CHATWOOT_BASE_URL."
    if isinstance(error, ClientConnectorSSLError) and "wrong version number" in str(error).replace("_", " ").lower():
        return "the port speaks http, not https. Begin CHATWOOT_BASE_URL with http://, or correct its port."
    if isinstance(error, ClientConnectorDNSError) and error.os_error.errno == socket.EAI_NONAME:
        return f"the host {error.host} does not exist. Correct CHATWOOT_BASE_URL."
    return None
