"""Digests: what they say equals the database, and they are sent once, only to users who asked for them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from pydantic import SecretStr

from proofdesk.accounts import accounts
from proofdesk.database.pool import Database
from proofdesk.digests import content, subscriptions
from proofdesk.digests.sending import send_digests
from proofdesk.digests.subscriptions import InvalidDigest
from proofdesk.errors import Denied
from proofdesk.jobs.resources import Resources, open_resources
from proofdesk.projects import scope as scopes
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings
from proofdesk_simulators import smtp
from proofdesk_simulators.telegram import TelegramSimulator
from tests.support import stories
from tests.support.worlds import World

TUESDAY = datetime(2026, 12, 1, 6, 59, tzinfo=UTC)


@pytest.fixture
async def resources(
    database_url: str,
    db: Database,
    relay: smtp.SmtpSimulator,
    mail_server: tuple[smtp.SmtpSimulator, str],
    telegram_server: tuple[TelegramSimulator, str],
) -> AsyncIterator[Resources]:
    """Open resources with simulated mail and Telegram."""
    settings = Settings(
        database_url=SecretStr(database_url),
        smtp_url=SecretStr(mail_server[1]),
        smtp_from="Proofdesk <desk@example.com>",
        public_url="https://desk.example.com",
        telegram_bot_token=SecretStr(telegram_server[0].token),
        telegram_api_base_url=telegram_server[1],
        embedding_provider="local",
    )
    async with open_resources(settings) as opened:
        yield opened


@pytest.fixture
async def member(db: Database, project: Scope, owner_conn: psycopg.Connection) -> Scope:
    """Return the scope of a member of the project."""
    return await _enter(db, owner_conn, project, "ada", is_owner=False)


async def _enter(db: Database, conn: psycopg.Connection, project: Scope, name: str, *, is_owner: bool) -> Scope:
    conn.execute("INSERT INTO app_users (username, password_hash, is_owner) VALUES (%s, '', %s)", [name, is_owner])
    conn.execute(
        "INSERT INTO project_members (project_id, account_scope_id, user_id) SELECT %s, %s, id FROM app_users"
        " WHERE username = %s",
        [project.project_id, project.account_scope_id, name],
    )
    return await scopes.enter(db, await accounts.load_actor(db, name), project.project_id)


def _let_a_day_pass(conn: psycopg.Connection) -> None:
    conn.execute("UPDATE digest_subscriptions SET subscribed_at = subscribed_at - interval '2 days'")


def test_digest_is_due_at_seven_and_on_mondays():
    assert content.last_end("daily", TUESDAY, UTC) == datetime(2026, 11, 30, 7, tzinfo=UTC)
    assert content.last_end("daily", TUESDAY + timedelta(minutes=1), UTC) == datetime(2026, 12, 1, 7, tzinfo=UTC)
    assert content.last_end("weekly", TUESDAY, UTC) == datetime(2026, 11, 30, 7, tzinfo=UTC)
    assert content.last_end("weekly", TUESDAY - timedelta(days=1), UTC) == datetime(2026, 11, 23, 7, tzinfo=UTC)
    assert content.last_end("daily", TUESDAY, ZoneInfo("Europe/Berlin")) == datetime(2026, 12, 1, 6, tzinfo=UTC)


async def test_counts_of_a_digest_equal_the_database(
    db: Database, ours: World, theirs: World, owner_conn: psycopg.Connection
):
    owner_conn.execute(
        "UPDATE outbound_messages SET updated_at = now(), next_attempt_at = NULL WHERE status = 'failed'"
    )
    owner_conn.execute("UPDATE commitments SET due = (now() AT TIME ZONE 'UTC')::date - 1")
    owner_conn.execute(
        "INSERT INTO commitments SELECT (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(),"
        " 'quote', 'another', 'due', (now() AT TIME ZONE 'UTC')::date + 1))).* FROM commitments c"
    )
    digest = await content.compose(db, ours.owner, "daily", datetime.now(UTC), "UTC")
    expected: dict[str, Any] = {
        "Promises overdue": "SELECT count(*) FROM commitments WHERE project_id = %(id)s AND due < now()::date",
        "Promises due": "SELECT count(*) FROM commitments WHERE project_id = %(id)s AND due >= now()::date",
        "Unanswered": "SELECT 1",  # the open one of the stories ends with the contact's words
        "Incidents": "SELECT count(*) FROM incidents WHERE project_id = %(id)s AND state = 'open'",
        "Blocked or failed": "SELECT count(*) FROM outbound_messages WHERE project_id = %(id)s"
        " AND status IN ('blocked_opt_out', 'failed')",
        "Bounced": "SELECT count(*) FROM suppressions WHERE project_id = %(id)s AND reason <> 'manual'",
        "Sent": "SELECT count(*) FROM outbound_messages WHERE project_id = %(id)s AND status = 'sent'",
    }
    for section in digest.sections:
        row = owner_conn.execute(expected.pop(section.title), {"id": ours.project_id}).fetchone()
        assert row == (section.total,) and len(section.lines) == section.total, section
    assert expected == {}
    text = content.render(digest, "https://desk.example.com")
    assert ours.conversation() in text and theirs.conversation() not in text
    assert text.count("https://desk.example.com/") == sum(s.total for s in digest.sections) + 1


async def test_answered_conversation_does_not_wait(db: Database, project: Scope, owner_conn: psycopg.Connection):
    stories.insert_conversations(owner_conn, project.project_id)
    now = datetime.now(UTC)
    assert [s.title for s in (await content.compose(db, project, "daily", now, "UTC")).sections] == ["Unanswered"]
    owner_conn.execute(
        "UPDATE cw_messages SET message_type = 'outgoing', sender_type = 'agent', private = false WHERE message_id ="
        " (SELECT max(message_id) FROM cw_messages WHERE conversation_id = 101)"
    )
    assert (await content.compose(db, project, "daily", now, "UTC")).sections == []


async def test_digest_is_sent_once_to_those_who_asked(
    resources: Resources, member: Scope, project: Scope, relay: smtp.SmtpSimulator, owner_conn: psycopg.Connection
):
    stories.insert_conversations(owner_conn, project.project_id)
    assert await send_digests(resources, project) == {"processed": 0}
    await subscriptions.subscribe(resources.db, member, daily=True, weekly=False, email="Ada@Example.com")
    assert await send_digests(resources, project) == {"processed": 0}  # from the next one on
    _let_a_day_pass(owner_conn)
    sent = await asyncio.gather(*(send_digests(resources, project) for _ in range(4)))
    assert sum(each["processed"] for each in sent) == 1
    [mail] = relay.received
    assert mail.recipients == ["ada@example.com"] and "Studio: daily digest" in mail.message["subject"]
    assert "Amina Okafor has waited for" in mail.part("plain")
    assert f"https://desk.example.com/conversations/cw:{project.project_id}:7:101/thread" in mail.part("plain")
    actions = owner_conn.execute("SELECT action FROM audit_events WHERE action LIKE 'digest%%' ORDER BY id").fetchall()
    assert actions == [("digest.subscribed",), ("digest.sent",)]


async def test_nothing_is_sent_without_news_or_to_former_members(
    resources: Resources, member: Scope, project: Scope, relay: smtp.SmtpSimulator, owner_conn: psycopg.Connection
):
    await subscriptions.subscribe(resources.db, member, daily=True, weekly=True, email="ada@example.com")
    _let_a_day_pass(owner_conn)
    await send_digests(resources, project)
    assert owner_conn.execute("SELECT DISTINCT status FROM digest_deliveries").fetchall() in ([("empty",)], [])
    stories.insert_conversations(owner_conn, project.project_id)
    owner_conn.execute("DELETE FROM project_members")
    owner_conn.execute("DELETE FROM digest_deliveries")
    await send_digests(resources, project)
    assert list(relay.received) == []
    assert owner_conn.execute("SELECT count(*) FROM digest_subscriptions").fetchone() == (0,)


async def test_owner_gets_the_digest_by_telegram_and_others_cannot(
    resources: Resources,
    db: Database,
    member: Scope,
    project: Scope,
    telegram_server: tuple[TelegramSimulator, str],
    owner_conn: psycopg.Connection,
):
    stories.insert_conversations(owner_conn, project.project_id)
    owner = await _enter(db, owner_conn, project, "grace", is_owner=True)
    owner_conn.execute("INSERT INTO telegram_owner (user_id, chat_id, name) VALUES (4712, 4712, 'Grace')")
    telegram_server[0].person(4712)
    for wrong in ({"email": "nonsense"}, {"email": ""}, {"email": 7}, {"daily": "yes", "email": "a@example.com"}):
        with pytest.raises(InvalidDigest):
            await subscriptions.subscribe(db, member, **{"daily": True, "weekly": False} | wrong)
    with pytest.raises(Denied):
        await subscriptions.subscribe(db, member, daily=True, weekly=False, telegram=True)
    await subscriptions.subscribe(db, owner, daily=True, weekly=False, telegram=True)
    _let_a_day_pass(owner_conn)
    await send_digests(resources, project)
    texts = [message.text for message in telegram_server[0].sent if message.chat_id == 4712]
    assert len(texts) == 1 and texts[0].startswith("Studio: daily digest")
    await subscriptions.unsubscribe(db, owner)
    assert await subscriptions.load(db, owner) is None
    telegram_server[0].reset()
