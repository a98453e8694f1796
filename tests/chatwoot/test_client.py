"""The client: waits, limits, masked tokens, and lists of a contact."""

import time
from collections.abc import Callable

import pytest

from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk_simulators.chatwoot import ChatwootSimulator, create_app
from proofdesk_simulators.chatwoot.refusals import CATALOGUE, ErrorResponse
from proofdesk_simulators.serving import running
from tests.support.chatwoot import create_conversations

Connect = Callable[..., ChatwootClient]


async def refusal(client: ChatwootClient) -> ChatwootError:
    with pytest.raises(ChatwootError) as raised:
        await client.inboxes(1)
    return raised.value


async def test_client_waits_as_long_as_a_proxy_asks(simulator: ChatwootSimulator, connect: Connect):
    simulator.faults.add("429", times=1, retry_after=1)
    started = time.monotonic()
    await connect(simulator).inboxes(1)
    assert time.monotonic() - started >= 1


async def test_too_long_wait_is_reported_at_once(simulator: ChatwootSimulator, connect: Connect):
    simulator.faults.add("503", retry_after=3600)
    error = await refusal(connect(simulator))
    assert "It asks to wait for 3600 seconds." in error.message and simulator.journal.count() == 1


async def test_too_large_response_is_refused(simulator: ChatwootSimulator):
    create_conversations(simulator, 20)
    with running(create_app(simulator)) as url:
        client = ChatwootClient(url, simulator.admin_token, retry_timeout=0.1, max_bytes=10_000)
        with pytest.raises(ChatwootError, match="is longer than 10000 bytes") as raised:
            await client.conversations(1, 1, "created_at_desc")
        assert raised.value.permanent
        await client.aclose()


async def test_token_repeated_in_a_refusal_is_masked(
    simulator: ChatwootSimulator, connect: Connect, monkeypatch: pytest.MonkeyPatch
):
    echo = ErrorResponse(422, {"error": f"Bad header: {simulator.admin_token}"})
    monkeypatch.setitem(CATALOGUE, "422_rule", echo)
    simulator.faults.add("422_rule")
    error = await refusal(connect(simulator))
    assert "Bad header: ***" in error.message and simulator.admin_token not in f"{error.message}{error.details}"


@pytest.mark.fidelity(
    "Chatwoot",
    "A proxy answers 404, too.",
    "Chatwoot 4.15.1, [C-04](chatwoot.md)",
)
async def test_only_chatwoots_own_404_means_deleted(simulator: ChatwootSimulator, connect: Connect):
    client = connect(simulator)
    assert await client.conversation(1, 77) is None and await client.messages(1, 77, 0, 100) is None
    simulator.faults.add("404_page")
    with pytest.raises(ChatwootError, match="an HTML page, probably from a proxy"):
        await client.messages(1, 77, 0, 100)


@pytest.mark.fidelity(
    "Chatwoot",
    "The list of a contact ends at twenty conversations.",
    "Chatwoot 4.15.1, [C-15](chatwoot.md)",
)
async def test_all_conversations_of_a_contact_are_listed(simulator: ChatwootSimulator, connect: Connect):
    first = simulator.create_conversation(1, content="First")
    contact = first.contact.id
    ids = [first.id] + [simulator.create_conversation(1, contact, content="More").id for _ in range(57)]
    create_conversations(simulator, 3)
    listed = await connect(simulator).contact_conversations(1, contact)
    assert sorted(c["id"] for c in listed) == ids and all("can_reply" in c for c in listed)
    assert await connect(simulator).contact_conversations(1, 999_999) == []


async def test_filter_that_repeats_its_first_page_ends(simulator: ChatwootSimulator, connect: Connect):
    first = simulator.create_conversation(1, content="First")
    for _ in range(30):
        simulator.create_conversation(1, first.contact.id, content="More")
    simulator.switches.drop_queries = True
    assert len(await connect(simulator).contact_conversations(1, first.contact.id)) == 25
    assert simulator.journal.count() == 2
