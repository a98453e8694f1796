"""A real server and a worker, with a simulated Chatwoot and OpenAI that fail."""

from collections.abc import Iterator

import psycopg
import pytest

from proofdesk.database.pool import Database
from proofdesk_simulators import chatwoot, openai
from proofdesk_simulators.serving import running
from tests.faults.desk import KEY, FaultDesk
from tests.support.chatwoot import create_conversations
from tests.support.server import Cast


@pytest.fixture
def desk(cast: Cast, db: Database, owner_conn: psycopg.Connection) -> Iterator[FaultDesk]:
    """A project whose Chatwoot has three conversations, of which nothing is stored yet."""
    source, models = chatwoot.build("empty"), openai.OpenAISimulator()
    models.switches.key = KEY
    create_conversations(source, 3, 4)
    with running(chatwoot.create_app(source)) as chatwoot_url, running(openai.create_app(models)) as openai_url:
        yield FaultDesk(cast, db, owner_conn, source, chatwoot_url, models, openai_url)
    source.close()
