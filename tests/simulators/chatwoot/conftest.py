"""An in-process client, the sample studio, and the installation behind the recorded responses."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.types import ASGIApp

from proofdesk_simulators.chatwoot import ChatwootSimulator, build, create_app

from .rebuilding import Rebuilding

REPOSITORY = Path(__file__).parents[3]
NOW = 1_795_200_000.0  # 2026-11-20 18:40 UTC, after the last message of the studio
Json = Any


class InProcess(httpx2.BaseTransport):
    """Call an ASGI app without a socket."""

    def __init__(self, app: ASGIApp, ip: str = "127.0.0.1") -> None:
        self._transport = httpx2.ASGITransport(app, client=(ip, 50_000))
        self._loop = asyncio.new_event_loop()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self._loop.run_until_complete(self._answer(request))

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        received = httpx2.Request(request.method, request.url, headers=request.headers, content=request.read())
        answer = await self._transport.handle_async_request(received)
        return httpx2.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

    def close(self) -> None:
        self._loop.close()


def connect(simulator: ChatwootSimulator, token: str | None = None) -> httpx2.Client:
    headers = {"Api-Access-Token": token or simulator.admin_token}
    return httpx2.Client(
        transport=InProcess(create_app(simulator)), base_url="http://chatwoot/api/v1/accounts/1", headers=headers
    )


@pytest.fixture
def simulator() -> Iterator[ChatwootSimulator]:
    """Return the sample studio with its clock stopped shortly after its last message."""
    simulator = build("studio")
    simulator.clock.freeze(NOW)
    yield simulator
    simulator.close()


@pytest.fixture
def client(simulator: ChatwootSimulator) -> Iterator[httpx2.Client]:
    """Return a client with the administrator's token, for account 1."""
    with connect(simulator) as client:
        yield client


@pytest.fixture
def client_of(simulator: ChatwootSimulator) -> Iterator[Callable[[str], httpx2.Client]]:
    """Return a function that creates clients with another token."""
    opened: list[httpx2.Client] = []

    def open_client(token: str) -> httpx2.Client:
        opened.append(connect(simulator, token))
        return opened[-1]

    yield open_client
    for client in opened:
        client.close()


@pytest.fixture(scope="session")
def chatwoot_notes() -> Path:
    """Return the folder with `samples/` and `swagger.json`, which is not part of the repository."""
    folder = Path(os.environ.get("PROOFDESK_CHATWOOT_SAMPLES", REPOSITORY.parent / "shared" / "chatwoot"))
    if not (folder / "samples" / "index.json").exists():
        pytest.skip(f"no Chatwoot samples at {folder}; set PROOFDESK_CHATWOOT_SAMPLES")
    return folder


@pytest.fixture(scope="session")
def corpus_folder() -> Path:
    """Return the folder of the support corpus, which is not part of the repository."""
    folder = Path(os.environ.get("PROOFDESK_CORPUS_DIR", REPOSITORY.parent / "shared" / "data" / "support"))
    if not (folder / "small.jsonl").exists():
        pytest.skip(f"no corpus at {folder}; set PROOFDESK_CORPUS_DIR")
    return folder


@pytest.fixture(scope="session")
def sample(chatwoot_notes: Path) -> Callable[[str], Json]:
    """Return a function that loads a recorded response by name."""

    def read(name: str) -> Json:
        return json.loads((chatwoot_notes / "samples" / f"{name}.json").read_text(encoding="utf-8"))

    return read


@pytest.fixture
def recorded(sample: Callable[[str], Json]) -> Iterator[ChatwootSimulator]:
    """Return the installation behind the recorded responses: account 7, conversations 1042 to 1046."""
    simulator = Rebuilding(sample).run()
    yield simulator
    simulator.close()


@pytest.fixture
def recorded_client(recorded: ChatwootSimulator, sample: Callable[[str], Json]) -> Iterator[httpx2.Client]:
    headers = {"Api-Access-Token": sample("profile")["access_token"]}
    transport = InProcess(create_app(recorded))
    with httpx2.Client(transport=transport, base_url="http://chatwoot", headers=headers) as client:
        yield client
