"""The real server, a worker, a simulated Chatwoot and OpenAI, and one who asks for jobs while these fail."""

from collections.abc import Iterator

import psycopg
import pytest

from proofdesk.database.pool import Database
from proofdesk_simulators import chatwoot, openai
from proofdesk_simulators.serving import running
from tests.faults.desk import KEY, Desk
from tests.support.chatwoot import fill
from tests.support.server import Cast


@pytest.fixture
def desk(cast: Cast, db: Database, owner_conn: psycopg.Connection) -> Iterator[Desk]:
    """Three conversations in Chatwoot, nothing of them here."""
    there, models = chatwoot.build("empty"), openai.Simulator()
    models.switches.key = KEY
    fill(there, 3, 4)
    with running(chatwoot.create_app(there)) as chatwoot_url, running(openai.create_app(models)) as openai_url:
        yield Desk(cast, db, owner_conn, there, chatwoot_url, models, openai_url)
    there.close()
