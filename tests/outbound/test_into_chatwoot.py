"""From sync to delivery in Chatwoot: drafted, approved, and posted once although the answer was lost."""

from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import SecretStr

from proofdesk.chatwoot import sync
from proofdesk.core.progress import ignore_progress
from proofdesk.database.pool import Database
from proofdesk.jobs.resources import Resources, open_resources
from proofdesk.outbound import approval, drafts, messages
from proofdesk.outbound.delivery import delivery
from proofdesk.outbound.drafts import DraftRequest
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.projects import sources
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings
from proofdesk_simulators.chatwoot import ChatwootSimulator, build, create_app
from proofdesk_simulators.serving import running


@pytest.fixture
def simulator() -> Iterator[ChatwootSimulator]:
    instance = build("empty")
    yield instance
    instance.close()


@pytest.fixture
async def resources(simulator: ChatwootSimulator, database_url: str, db: Database) -> AsyncIterator[Resources]:
    with running(create_app(simulator)) as url:
        settings = Settings(
            database_url=SecretStr(database_url),
            chatwoot_base_url=url,
            chatwoot_api_token=SecretStr(simulator.admin_token),
            embedding_provider="local",
        )
        async with open_resources(settings) as resources:
            yield resources


async def fetch_sent(resources: Resources, project: Scope, recipient: str) -> OutboundMessage:
    """Approve and deliver a message, and return it."""
    wish = DraftRequest("chatwoot", recipient, {"text": "It is ready."}, recipient)
    drafted, _ = await drafts.create(resources.db, project, wish)
    await approval.approve(resources.db, project, drafted.id)
    await delivery.process_due(resources.db, project, resources.outbound, resources.delivery_options)
    return await messages.get_message(resources.db, project, drafted.id)


async def test_lost_answer_leaves_one_message_that_counts_as_sent(
    resources: Resources, project: Scope, simulator: ChatwootSimulator
):
    talk = simulator.create_conversation(1, content="Is it ready?", contact_name="Ada", at=simulator.clock.now() - 60)
    await sources.bind(resources.db, project, "chatwoot_account", "1")
    assert resources.chatwoot is not None
    await sync.run(resources.db, resources.chatwoot, project, sync.SyncOptions(), ignore_progress)
    simulator.faults.add("lost_reply", method="POST", path="*/messages", times=1)
    sent = await fetch_sent(resources, project, f"cw:{project.project_id}:1:{talk.id}")
    assert (sent.status, sent.last_error) == ("sent", None)
    assert [m.content for m in talk.messages] == ["Is it ready?", "It is ready."]


async def test_nothing_is_sent_to_an_unbound_account(
    resources: Resources, project: Scope, simulator: ChatwootSimulator
):
    talk = simulator.create_conversation(1, content="Is it ready?", contact_name="Ada", at=simulator.clock.now() - 60)
    bound = await sources.bind(resources.db, project, "chatwoot_account", "1")
    assert resources.chatwoot is not None
    await sync.run(resources.db, resources.chatwoot, project, sync.SyncOptions(), ignore_progress)
    await sources.unbind(resources.db, project, bound.id)
    for recipient in (f"cw:{project.project_id}:1:{talk.id}", f"cwc:{project.project_id}:1:{talk.contact.id}"):
        kept = await fetch_sent(resources, project, recipient)
        assert kept.status == "failed" and "no longer has a conversation" in (kept.last_error or "")
    assert len(talk.messages) == 1
