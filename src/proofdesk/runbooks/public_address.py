"""What happens to a request on its way from PUBLIC_URL to Proofdesk: a request to itself shows what a proxy changes."""

import asyncio
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2

from proofdesk.accounts.sessions import PROBE_SUFFIX
from proofdesk.core.certificates import ssl_context
from proofdesk.core.response_limits import SMALL_RESPONSE, limit_bodies
from proofdesk.runbooks.context import CheckSkippedError, RunbookContext

ECHO_PATH = "/auth/echo"
_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True)
class PublicProbe:
    """What is wrong, by the id of the check: `public-url`, `public-path`, `host`, `cookie-header`, `set-cookie` or
    `csrf-header`.
    """

    faults: dict[str, str] = field(default_factory=dict)


async def probe_public_address(context: RunbookContext) -> PublicProbe:
    """Send a request to PUBLIC_URL and compare what arrives. Raises `CheckSkippedError` when it is not reached."""
    url = context.settings.public_url
    if url is None:
        raise CheckSkippedError("PUBLIC_URL is not set, so the way of a request cannot be followed.")
    cookie = context.settings.session_cookie_name + PROBE_SUFFIX
    headers = {
        "cookie": f"{cookie}=1",
        "x-csrf-token": "probe",
        "accept": "application/json",
    }
    try:
        hooks = {"response": [limit_bodies(SMALL_RESPONSE)]}
        async with asyncio.timeout(_TIMEOUT), httpx2.AsyncClient(verify=ssl_context(), event_hooks=hooks) as client:
            response = await client.get(url + ECHO_PATH, headers=headers)
    except (httpx2.HTTPError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        raise CheckSkippedError(f"PUBLIC_URL cannot be reached from this machine: {reason}") from error
    return PublicProbe(_faults(response, url, cookie))


def _faults(response: httpx2.Response, url: str, cookie: str) -> dict[str, str]:
    try:
        echo = response.json()
    except ValueError:
        echo = None
    if not isinstance(echo, dict) or "request_id" not in echo:
        return {"public-url": _describe_stranger(response, url)}
    if response.status_code == 404:
        return {"public-path": f"A request for {ECHO_PATH} at {url} arrived with another path: {echo.get('message')}"}
    if response.status_code != 200:
        return {"public-url": f"{url}{ECHO_PATH} answered {response.status_code}: {echo.get('message')}"}
    faults = {}
    if echo["host"].lower() != urlsplit(url).netloc.lower():
        faults["host"] = f"A request to {urlsplit(url).netloc} arrived with Host {echo['host']}."
    if cookie not in echo["cookies"]:
        faults["cookie-header"] = f"A request to {url} arrived without its Cookie header."
    if cookie not in response.headers.get("set-cookie", ""):
        faults["set-cookie"] = f"A response of {url} arrived without its Set-Cookie header."
    if not echo["csrf_header"]:
        faults["csrf-header"] = f"A request to {url} arrived without its x-csrf-token header."
    return faults


def _describe_stranger(response: httpx2.Response, url: str) -> str:
    if "location" in response.headers:
        return f"{url} redirects to {response.headers['location'].split('?')[0]}."
    what = (
        "an HTML page, probably from a proxy" if "html" in response.headers.get("content-type", "") else "no Proofdesk"
    )
    login = " It asks for a login." if "www-authenticate" in response.headers else ""
    return f"{url} answered {response.status_code} with {what}.{login}"
