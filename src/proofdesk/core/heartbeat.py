"""The heartbeat: a request after each good sync. A monitor outside raises the alarm when it does not come."""

import asyncio

import httpx2

from proofdesk import logging
from proofdesk.core.certificates import ssl_context
from proofdesk.core.response_limits import SMALL_RESPONSE, limit_bodies

log = logging.get_logger(__name__)

TIMEOUT_SECONDS = 4.0


async def ping(url: str) -> None:
    """Request the address once. A failure is logged, and nothing else: the sync has succeeded."""
    try:
        hooks = {"response": [limit_bodies(SMALL_RESPONSE)]}
        async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS, verify=ssl_context(), event_hooks=hooks) as http:
            response = await asyncio.wait_for(http.get(url), TIMEOUT_SECONDS)
        if not response.is_success:
            log.warning("the heartbeat was refused", status=response.status_code)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError) as error:
        log.warning("the heartbeat could not be sent", error=type(error).__name__)
