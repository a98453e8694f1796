"""Fixtures: a healthy installation. Its simulators are shared by the tests of a module and reset after each."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope as Inside
from proofdesk_simulators import chatwoot, openai
from proofdesk_simulators.serving import running
from proofdesk_simulators.telegram import TelegramSimulator as Telegram
from tests.support.chatwoot import create_conversations
from tests.support.installation import Installation, build


class Proxy:
    """A proxy in front of Chatwoot that can drop the header with the token."""

    def __init__(self, app: ASGIApp):
        self.app = app
        self.drops = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.drops:
            scope = {**scope, "headers": [h for h in scope["headers"] if h[0] != b"api-access-token"]}
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def servers(telegram_server: tuple[Telegram, str]) -> Iterator[dict[str, Any]]:
    """Start the simulated services. Yield each with its address."""
    cw, ai = chatwoot.build("empty"), openai.OpenAISimulator()
    create_conversations(cw, 3, 2)
    proxy = Proxy(chatwoot.create_app(cw))
    with running(proxy) as cw_url, running(openai.create_app(ai)) as ai_url:
        yield {"chatwoot": (cw, cw_url), "openai": (ai, ai_url), "telegram": telegram_server, "proxy": (proxy, cw_url)}
    cw.close()


@pytest.fixture
async def installation(
    db: Database, owner_conn: psycopg.Connection, project: Inside, servers: dict[str, Any], database_url: str
) -> Any:
    """Create a healthy installation; reset the simulators afterwards, and Telegram's before, which all tests share."""
    servers["telegram"][0].reset()
    yield await build(db, owner_conn, project, servers, database_url)
    servers["chatwoot"][0].reset_controls()
    servers["openai"][0].reset_controls()
    servers["telegram"][0].reset()
    servers["proxy"][0].drops = False


@pytest.fixture
def drop_header(servers: dict[str, Any], installation: Installation) -> Any:
    """Return a function that makes the proxy drop the header with the token."""

    def drop() -> None:
        servers["proxy"][0].drops = True

    return drop
