"""Contacts who write STOP in a simulated Chatwoot, from the message to the policy and its evidence."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.jobs import catalog, runs
from proofdesk.jobs.resources import Resources, open_resources
from proofdesk.outbound import policies
from proofdesk.outbound.opt_outs import opt_outs
from proofdesk.outbound.policy_queries import PolicyUpdate
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings
from proofdesk_simulators.chatwoot import ChatwootSimulator, build, create_app, foundation
from proofdesk_simulators.serving import running
from tests.support.jobs import start_run

WORDS = Settings().opt_out_words


@pytest.fixture
def simulator() -> Iterator[ChatwootSimulator]:
    """A Chatwoot with an API inbox (1), a mail inbox (2) and a Telegram inbox (3)."""
    instance = build("empty")
    for name, kind in (("Mail", "Channel::Email"), ("Bot", "Channel::Telegram")):
        foundation.add_inbox(instance.installation, instance.account(), name, kind)
    yield instance
    instance.close()


@pytest.fixture
async def resources(simulator: ChatwootSimulator, database_url: str, db: Database) -> AsyncIterator[Resources]:
    with running(create_app(simulator)) as url:
        settings = Settings(
            database_url=SecretStr(database_url),
            chatwoot_base_url=url,
            chatwoot_api_token=SecretStr(simulator.admin_token),
            chatwoot_account_id=1,
            embedding_provider="local",
        )
        async with open_resources(settings) as resources:
            yield resources


async def sync(resources: Resources, project: Scope) -> dict[str, Any]:
    """Run a sync job and return its result."""
    start = await start_run(resources.db, project, catalog.SYNC.name, "cli")
    finished = await runs.execute(resources.db, project, start.run, catalog.bind_handler(resources, catalog.SYNC.name))
    assert finished.status == "ok", finished.error
    return finished.meta["result"]


def opted_out_channels(conn: psycopg.Connection) -> set[tuple[str, str]]:
    """Return the opted-out contacts and channels."""
    return set(
        conn.execute("SELECT channel, contact_global_id FROM contact_channel_policies WHERE opted_out").fetchall()
    )


def events(conn: psycopg.Connection) -> list[tuple[Any, ...]]:
    return conn.execute(
        "SELECT actor_username, payload ->> 'channel', evidence_refs -> 0 ->> 'ref' FROM audit_events"
        " WHERE action = 'outbound.opt_out' ORDER BY 2"
    ).fetchall()


@pytest.mark.parametrize(
    ("inbox", "channels"), [(1, ["chatwoot"]), (2, ["chatwoot", "email"]), (3, ["chatwoot", "telegram"])]
)
async def test_stop_opts_out_once_with_the_message_as_evidence(
    resources: Resources,
    project: Scope,
    simulator: ChatwootSimulator,
    owner_conn: psycopg.Connection,
    inbox: int,
    channels: list[str],
):
    talk = simulator.create_conversation(inbox, content="Where is my order?", contact_name="Ada")
    assert (await sync(resources, project))["opted_out"] == 0
    text = simulator.append_message(talk.id, "  STOP!\n")
    assert (await sync(resources, project))["opted_out"] == len(channels)
    contact = f"cwc:{project.project_id}:1:{talk.contact.id}"
    assert opted_out_channels(owner_conn) == {(channel, contact) for channel in channels}
    message = ids.message(project.project_id, 1, text.id)
    assert events(owner_conn) == [("system", channel, message) for channel in channels]
    simulator.append_message(talk.id, "stop")
    assert (await sync(resources, project))["opted_out"] == 0
    assert len(events(owner_conn)) == len(channels)


async def test_first_run_applies_old_opt_outs(
    resources: Resources, project: Scope, simulator: ChatwootSimulator, owner_conn: psycopg.Connection
):
    for text in ("Отписаться.", "ОТПИСАТЬСЯ", "unsubscribe", "«Opt out»", "Désabonner"):
        simulator.create_conversation(1, content=text, at=simulator.clock.now() - 90_000_000)
    for text in ("Please stop calling me", "unsubscribed", "stopp", "stop stop", ""):
        simulator.create_conversation(1, content=text)
    talk = simulator.create_conversation(1, content="Hello")
    simulator.append_message(talk.id, "stop", message_type="outgoing")
    assert (await sync(resources, project))["opted_out"] == 5
    assert len(opted_out_channels(owner_conn)) == 5


async def test_disguised_word_above_quoted_mail_counts_and_is_kept(
    resources: Resources,
    project: Scope,
    simulator: ChatwootSimulator,
    owner_conn: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(opt_outs, "_PAGE_SIZE", 2)
    said = "\u200bＳｔ\u00adop! 🙏\n\nVon meinem iPhone gesendet\n\nAm Montag schrieb Studio:\n> Hallo"
    talk = simulator.create_conversation(1, content=said, contact_name="Ada")
    for text in (
        "Please don't stop",
        "STOP 12345",
        "stop by tomorrow",
        "> STOP",
        "\u2800",
        "Yes\n\nOn Monday Bob wrote:\n> STOP",
    ):
        simulator.create_conversation(1, content=text)
    await sync(resources, project)
    assert {who for _, who in opted_out_channels(owner_conn)} == {f"cwc:{project.project_id}:1:{talk.contact.id}"}
    assert owner_conn.execute("SELECT content FROM cw_messages WHERE content LIKE '%🙏%'").fetchall() == [(said,)]


async def test_only_the_new_part_of_an_email_counts(
    resources: Resources, project: Scope, simulator: ChatwootSimulator, owner_conn: psycopg.Connection
):
    talk = simulator.create_conversation(2, content="Stop\n\nOn Monday Studio wrote:\n> Hello", contact_name="Ada")
    talk.messages[-1].content_attributes = {"email": {"text_content": {"quoted": "Stop\n", "full": "…"}}}
    other = simulator.create_conversation(2, content="stop", contact_name="Bob")
    other.messages[-1].content_attributes = {"email": {"text_content": {"quoted": "Never stop, please"}}}
    await sync(resources, project)
    assert {who for _, who in opted_out_channels(owner_conn)} == {f"cwc:{project.project_id}:1:{talk.contact.id}"}


async def test_later_opt_in_stands_until_a_new_message(
    resources: Resources, project: Scope, simulator: ChatwootSimulator, owner_conn: psycopg.Connection
):
    talk = simulator.create_conversation(1, content="stop", at=simulator.clock.now() - 60)
    await sync(resources, project)
    contact = f"cwc:{project.project_id}:1:{talk.contact.id}"
    assert opted_out_channels(owner_conn) == {("chatwoot", contact)}
    change = PolicyUpdate(opted_out=False)
    await policies.change_policy(resources.db, project, contact, "chatwoot", change, reason="asked on the telephone")
    for words in (WORDS, [*WORDS, "enough"]):  # other words make the run read all messages again
        assert await opt_outs.apply_opt_outs(resources.db, project, words) == 0
    assert opted_out_channels(owner_conn) == set()
    simulator.append_message(talk.id, "Stop", at=datetime.now(UTC).timestamp() + 5)
    await sync(resources, project)
    assert opted_out_channels(owner_conn) == {("chatwoot", contact)}


async def test_only_new_messages_are_read_until_the_words_change(
    resources: Resources, project: Scope, simulator: ChatwootSimulator, owner_conn: psycopg.Connection
):
    simulator.create_conversation(1, content="basta", contact_name="Ada")
    await sync(resources, project)
    owner_conn.execute("UPDATE cw_messages SET updated_at = now() - interval '1 hour', content = 'stop'")
    assert await opt_outs.apply_opt_outs(resources.db, project, WORDS) == 0, "what was looked through is not read again"
    assert await opt_outs.apply_opt_outs(resources.db, project, [*WORDS, "basta"]) == 1
    assert len(events(owner_conn)) == 1
