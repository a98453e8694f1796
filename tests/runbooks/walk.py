"""An operator who follows the operators' page: an HTTP client and a worker, on a healthy installation."""

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
from tests.runbooks.installation import Installation
from tests.support.server import create_person

BASE = "https://desk.example.com"
HTML = {"accept": "text/html"}
Proof = Callable[["Walk"], Awaitable[None]]
PROOFS: dict[str, list[Proof]] = {}


def proves(*lines: str) -> Callable[[Proof], Proof]:
    """Register a function as the proof of these lines. Proofs run in the order of their definition."""

    def register(proof: Proof) -> Proof:
        for line in lines:
            PROOFS.setdefault(line, []).append(proof)
        return proof

    return register


@dataclass
class Walk:
    """A signed-in operator in a project. `seen` holds values that a proof leaves for later ones."""

    installation: Installation
    client: httpx2.AsyncClient
    transport: httpx2.ASGITransport
    seen: dict[str, Any] = field(default_factory=dict)

    async def get(self, path: str) -> Any:
        """Return the JSON of a path."""
        return (await self.client.get(path)).json()

    async def post(self, path: str, **body: Any) -> Any:
        """Post a body and return the JSON of the response."""
        return (await self.client.post(path, json=body)).json()

    async def page(self, path: str) -> str:
        """Return the HTML page of a path."""
        response = await self.client.get(path, headers=HTML, follow_redirects=True)
        assert response.status_code == 200, response.text
        return response.text

    async def job(self, path: str) -> dict[str, Any]:
        """Request a job, let a worker execute it, and return the run."""
        response = await self.post(path, wait=0)
        await self.drain()
        return (await self.get(f"/jobs/runs/{response['run']['id']}"))["run"]

    async def drain(self) -> None:
        """Let a worker execute all queued runs."""
        async with open_resources(Settings(**self.installation.settings)) as held:
            await worker.run_worker(held, drain=True)

    async def unbind(self) -> None:
        """Unbind every source."""
        path = f"/projects/{self.installation.scope.project_id}/sources"
        for source in (await self.get(path))["sources"]:
            assert (await self.client.delete(f"{path}/{source['id']}")).status_code == 200

    async def bind(self) -> None:
        """Bind the account again."""
        path = f"/projects/{self.installation.scope.project_id}/sources"
        assert (await self.post(path, source_kind="chatwoot_account", external_id="1"))["ok"]

    async def cause(self, slug: str) -> str:
        """Run the runbook over the API and return the check that is the cause."""
        result = await self.post(f"/runbooks/{slug}/run")
        return result["cause"]["check"] if result["cause"] else ""

    async def evidence(self, slug: str) -> dict[str, Any]:
        """Download the bundle and return its JSON, with the Markdown as `report`."""
        response = await self.client.get(f"/runbooks/{slug}/evidence")
        with zipfile.ZipFile(io.BytesIO(response.content)) as bundle:
            files = {name.rsplit(".", 1)[-1]: bundle.read(name).decode() for name in bundle.namelist()}
        return json.loads(files["json"]) | {"report": files["md"]}

    def nobody(self) -> httpx2.AsyncClient:
        """Return a client without a session."""
        return httpx2.AsyncClient(transport=_Lent(self.transport), base_url=BASE)

    @contextlib.asynccontextmanager
    async def when(self, **settings: Any) -> AsyncIterator["Walk"]:
        """Yield the same operator on a server with other settings."""
        before = dict(self.installation.settings)
        self.installation.set(**settings)
        try:
            async with _site(self.installation) as transport, _client(transport, self.client) as client:
                yield Walk(self.installation, client, transport, self.seen)
        finally:
            self.installation.settings = before


@contextlib.asynccontextmanager
async def begun(installation: Installation) -> AsyncIterator[Walk]:
    """Sign the owner in and select the project."""
    person = create_person(BASE, installation.conn, "walker", is_owner=True)
    async with person.client as former, _site(installation) as transport, _client(transport, former) as client:
        assert (await client.post(f"/projects/{installation.scope.project_id}/select")).status_code == 200
        yield Walk(installation, client, transport)


class _Lent(httpx2.AsyncBaseTransport):
    """A transport that stays open when its client closes."""

    def __init__(self, transport: httpx2.ASGITransport):
        self.transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request over the shared transport."""
        return await self.transport.handle_async_request(request)


def _client(transport: httpx2.ASGITransport, like: httpx2.AsyncClient) -> httpx2.AsyncClient:
    token = like.headers["x-csrf-token"]
    kept = {name: like.headers[name] for name in ("x-csrf-token", "origin") if name in like.headers}
    cookies = {"sid": like.cookies["sid"], "csrf_token": token}
    return httpx2.AsyncClient(transport=transport, base_url=BASE, cookies=cookies, headers=kept)


@contextlib.asynccontextmanager
async def _site(installation: Installation) -> AsyncIterator[httpx2.ASGITransport]:
    """Run the whole application in this process."""
    settings = Settings(**installation.settings)
    assert settings.database_url
    app = http_app.create_app(settings, settings.database_url.get_secret_value())
    async with app.router.lifespan_context(app) as state:

        async def served(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        yield httpx2.ASGITransport(app=served, client=("192.0.2.7", 1))
