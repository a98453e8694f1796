"""Walking the operators' page: a person with a browser and a terminal in a house in which everything works at first."""

import contextlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
from starlette.types import Receive, Scope, Send

from proofdesk.http import app as http_app
from proofdesk.jobs import worker
from proofdesk.jobs.resources import open_resources
from proofdesk.settings import Settings
from tests.runbooks.house import House
from tests.support.server import sign_up

BASE = "https://desk.example.com"
HTML = {"accept": "text/html"}
Proof = Callable[["Walk"], Awaitable[None]]
PROOFS: dict[str, list[Proof]] = {}


def proves(*lines: str) -> Callable[[Proof], Proof]:
    """Makes a function the proof of these lines of the page. They are walked in the order of the functions."""

    def register(proof: Proof) -> Proof:
        for line in lines:
            PROOFS.setdefault(line, []).append(proof)
        return proof

    return register


@dataclass
class Walk:
    """Somebody who is signed in, in a project. `seen` keeps what one line leaves for later ones."""

    house: House
    client: httpx2.AsyncClient
    transport: httpx2.ASGITransport
    seen: dict[str, Any] = field(default_factory=dict)

    async def get(self, path: str) -> Any:
        """The JSON of a path."""
        return (await self.client.get(path)).json()

    async def post(self, path: str, **body: Any) -> Any:
        """The JSON that a body gets."""
        return (await self.client.post(path, json=body)).json()

    async def page(self, path: str) -> str:
        """The page of a path."""
        answer = await self.client.get(path, headers=HTML, follow_redirects=True)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def job(self, path: str) -> dict[str, Any]:
        """Ask for a job, let a worker carry out what waits, and see how it ended."""
        asked = await self.post(path, wait=0)
        await self.drain()
        return (await self.get(f"/jobs/runs/{asked['run']['id']}"))["run"]

    async def drain(self) -> None:
        """Let a worker carry out what waits."""
        async with open_resources(Settings(**self.house.settings)) as held:
            await worker.run_worker(held, drain=True)

    async def unbind(self) -> None:
        """Let go of every source."""
        path = f"/projects/{self.house.scope.project_id}/sources"
        for source in (await self.get(path))["sources"]:
            assert (await self.client.delete(f"{path}/{source['id']}")).status_code == 200

    async def bind(self) -> None:
        """Read the account again."""
        path = f"/projects/{self.house.scope.project_id}/sources"
        assert (await self.post(path, source_kind="chatwoot_account", external_id="1"))["ok"]

    async def cause(self, slug: str) -> str:
        """The check that the runbook names, as the API tells it."""
        told = await self.post(f"/runbooks/{slug}/run")
        return told["cause"]["check"] if told["cause"] else ""

    async def evidence(self, slug: str) -> dict[str, Any]:
        """What the bundle holds: the JSON, and the report."""
        answer = await self.client.get(f"/runbooks/{slug}/evidence")
        with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
            files = {name.rsplit(".", 1)[-1]: bundle.read(name).decode() for name in bundle.namelist()}
        return json.loads(files["json"]) | {"report": files["md"]}

    def nobody(self) -> httpx2.AsyncClient:
        """A browser in which nobody is signed in."""
        return httpx2.AsyncClient(transport=_Lent(self.transport), base_url=BASE)

    @contextlib.asynccontextmanager
    async def when(self, **settings: Any) -> AsyncIterator["Walk"]:
        """The same person where some variables have other values."""
        before = dict(self.house.settings)
        self.house.set(**settings)
        try:
            async with _site(self.house) as transport, _client(transport, self.client) as client:
                yield Walk(self.house, client, transport, self.seen)
        finally:
            self.house.settings = before


@contextlib.asynccontextmanager
async def begun(house: House) -> AsyncIterator[Walk]:
    """The owner is signed in and works in the project."""
    person = sign_up(BASE, house.conn, "walker", is_owner=True)
    async with person.client as former, _site(house) as transport, _client(transport, former) as client:
        assert (await client.post(f"/projects/{house.scope.project_id}/select")).status_code == 200
        yield Walk(house, client, transport)


class _Lent(httpx2.AsyncBaseTransport):
    """A transport that others go on using when a client is closed."""

    def __init__(self, transport: httpx2.ASGITransport):
        self.transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Hand it on."""
        return await self.transport.handle_async_request(request)


def _client(transport: httpx2.ASGITransport, like: httpx2.AsyncClient) -> httpx2.AsyncClient:
    token = like.headers["x-csrf-token"]
    kept = {name: like.headers[name] for name in ("x-csrf-token", "origin") if name in like.headers}
    cookies = {"sid": like.cookies["sid"], "csrf_token": token}
    return httpx2.AsyncClient(transport=transport, base_url=BASE, cookies=cookies, headers=kept)


@contextlib.asynccontextmanager
async def _site(house: House) -> AsyncIterator[httpx2.ASGITransport]:
    """The whole application in this process."""
    settings = Settings(**house.settings)
    assert settings.database_url
    app = http_app.create_app(settings, settings.database_url.get_secret_value())
    async with app.router.lifespan_context(app) as state:

        async def served(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        yield httpx2.ASGITransport(app=served, client=("192.0.2.7", 1))
