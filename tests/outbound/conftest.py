from collections.abc import Iterator

import psycopg
import pytest

from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope
from proofdesk_simulators.telegram import TelegramSimulator
from tests.support import stories
from tests.support.outbound_desk import OutboundDesk
from tests.support.synced_project import chatwoot, synced

__all__ = ["chatwoot", "synced"]


@pytest.fixture
async def desk(db: Database, project: Scope, owner_conn: psycopg.Connection) -> OutboundDesk:
    """A project with two contacts, Amina (11) and Luis (12), and an e-mail channel that accepts everything."""
    stories.insert_conversations(owner_conn, project.project_id)
    return OutboundDesk(db, project, owner_conn)


@pytest.fixture
def chats(telegram_server: tuple[TelegramSimulator, str]) -> Iterator[TelegramSimulator]:
    """A simulated Telegram in which person 42 has opened a chat with the bot."""
    simulator = telegram_server[0]
    simulator.reset()
    simulator.person(42)
    simulator.write(42, "/start")
    yield simulator
    simulator.reset()
