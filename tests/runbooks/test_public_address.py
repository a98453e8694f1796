"""A proxy in front of Proofdesk: what it removes or changes are different causes."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx2
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proofdesk.http import app as http_app
from proofdesk.settings import Settings
from proofdesk_simulators.serving import running
from tests.runbooks.installation import REQUEST, Installation

SLUG = "auth-loop"


class Proxy:
    """A proxy in front of Proofdesk that removes headers and changes the path or the host."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None
        self.removes: bytes = b""
        self.path, self.host = "", b""
        self.page = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.page:
            await send(
                {"type": "http.response.start", "status": self.page, "headers": [(b"content-type", b"text/html")]}
            )
            return await send({"type": "http.response.body", "body": b"<h1>Sign in</h1>"})
        assert self.app is not None
        kept = [(n, self.host if n == b"host" and self.host else v) for n, v in scope["headers"] if n != self.removes]
        changed = {**scope, "headers": kept, "path": self.path + scope["path"]}

        async def send_kept(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [h for h in message["headers"] if h[0].lower() != self.removes]}
            await send(message)

        return await self.app(changed, receive, send_kept)


@pytest.fixture(scope="module")
def front() -> Iterator[tuple[Proxy, str]]:
    """Yield a proxy and its address."""
    proxy = Proxy()
    with running(proxy) as url:
        yield proxy, url


@pytest.fixture
async def behind(installation: Installation, front: tuple[Proxy, str]) -> Installation:
    """Return the installation behind the proxy, at its address."""
    proxy, url = front
    proxy.__init__()
    async with installation.context() as context:
        proxy.app = serve_echo(context.settings)
    installation.set(public_url=url, cookie_secure=False)
    origin = {"scheme": "http", "origin": url, "host": url.removeprefix("http://")}
    installation.request = replace(REQUEST, **origin)
    return installation


def serve_echo(settings: Settings) -> ASGIApp:
    """Return the application without the resources that other routes need."""
    application = http_app.create_app(settings, "postgresql://not-used.test/db")

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await application({**scope, "state": {"resources": Bare(settings)}}, receive, send)

    return serve


class Bare:
    """Resources that hold only the settings."""

    def __init__(self, settings: Settings):
        self.settings = settings


def removes(name: bytes) -> Callable[[Proxy], None]:
    """Return a fault: the proxy removes a header."""
    return lambda proxy: setattr(proxy, "removes", name)


FAULTS: dict[str, Callable[[Proxy], None]] = {
    "set-cookie": removes(b"set-cookie"),
    "cookie-header": removes(b"cookie"),
    "csrf-header": removes(b"x-csrf-token"),
    "public-path": lambda proxy: setattr(proxy, "path", "/desk"),
    "host": lambda proxy: setattr(proxy, "host", b"127.0.0.1:8080"),
    "public-url": lambda proxy: setattr(proxy, "page", 200),
}


@pytest.mark.parametrize("cause", FAULTS)
async def test_what_a_proxy_does_is_the_cause(behind: Installation, front: tuple[Proxy, str], cause: str):
    FAULTS[cause](front[0])
    result = await behind.run(SLUG)
    assert [c.id for c in result.checks if c.status == "fail"] == [cause], result
    assert result.cause is not None and result.cause.check == cause and result.fixes[0].command


async def test_a_proxy_that_changes_nothing_is_no_finding(behind: Installation):
    result = await behind.run(SLUG)
    assert (result.verdict, result.unchecked) == ("ok", ())


async def test_without_a_way_to_the_address_nothing_is_claimed(behind: Installation):
    behind.set(public_url="http://127.0.0.1:1")
    behind.request = replace(REQUEST, scheme="http", origin="http://127.0.0.1:1")
    result = await behind.run(SLUG)
    assert result.verdict == "ok" and {u.check for u in result.unchecked} == FAULTS.keys()


async def test_a_rewritten_host_is_seen_from_the_browser(installation: Installation):
    headers = {"sec-fetch-site": "same-origin"}
    installation.set(public_url=None)
    installation.request = replace(REQUEST, host="127.0.0.1:8080", headers=headers)
    result = await installation.run(SLUG)
    assert result.cause is not None and "rewrites the Host" in result.cause.message


async def test_the_echo_shows_what_arrived(anyone: httpx2.AsyncClient):
    response = await anyone.get("/auth/echo", headers={"cookie": "a=1", "x-csrf-token": "x"})
    assert (response.json()["cookies"], response.json()["csrf_header"]) == (["a"], True)
    assert "sid_probe=1" in response.headers["set-cookie"]
