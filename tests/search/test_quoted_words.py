"""Text that an e-mail quotes is found as the text of its author."""

from proofdesk.database.pool import Database
from proofdesk.indexing.incremental import index_conversations
from proofdesk.projects.scope import Scope
from proofdesk.search import results
from proofdesk.search.query import SearchQuery
from proofdesk.search.results import Hit
from tests.support.embedding import LIMITS, settings
from tests.support.transcripts import Line, agent, fetch_rows, store_messages

ASKED = "Where is the turquoise raincoat that I ordered in February?"
ANSWER = "We have sent it today, and it will be with you before Friday."
HEAD = "On Mon, Mar 2, 2026 at 10:00 AM Ivan Petrov <ivan@example.org> wrote:"
REPLY = f"{ANSWER}\n\n{HEAD}\n> {ASKED}"


async def found(db: Database, scope: Scope, text: str) -> list[Hit]:
    await index_conversations(db, scope, LIMITS)
    answer = await results.search(db, scope, None, settings(), SearchQuery(text, mode="text"))
    return [hit for hit in answer.results if text.split()[0] in hit.text]


async def test_quote_of_an_agent_is_found_at_the_contacts_message(db: Database, project: Scope):
    await store_messages(db, project, Line(ASKED, name="Ivan Petrov"), agent(REPLY))
    [hit] = await found(db, project, "turquoise raincoat")
    assert (hit.sender_type, hit.sender_name, hit.text) == ("contact", "Ivan Petrov", ASKED)
    terms = "SELECT tf FROM search_postings WHERE term LIKE '%%turquois%%'"
    assert await fetch_rows(db, project, terms) == [(20,)], "once, as the opening words of the contact"


async def test_quoted_only_text_is_attributed_to_the_contact(db: Database, project: Scope):
    await store_messages(db, project, agent(REPLY))
    [hit] = await found(db, project, "turquoise raincoat")
    assert (hit.sender_type, hit.sender_name, hit.text) == ("contact", "Ivan Petrov", ASKED)
    [answered] = await found(db, project, "sent today")
    assert (answered.sender_type, answered.sender_name, answered.text) == ("agent", "Anna", ANSWER)
    assert answered.id != hit.id and answered.message_global_id == hit.message_global_id


async def test_text_quoted_by_a_contact_is_attributed_to_the_agent(db: Database, project: Scope):
    head = "Am Mo., 2. März 2026 um 10:00 Uhr schrieb Kestrel Studio <hello@example.com>:"
    whole = f"{ASKED}\n\n{head}\n> Our marmalade offer ends on Sunday."
    email = {"email": {"subject": "Coat", "text_content": {"reply": whole, "quoted": ASKED}}}
    await store_messages(db, project, Line(whole, content_type="incoming_email", content_attributes=email))
    [hit] = await found(db, project, "marmalade offer")
    assert (hit.sender_type, hit.sender_name) == ("agent", "Kestrel Studio")
    [asked] = await found(db, project, "turquoise raincoat")
    assert (asked.sender_type, asked.sender_name, asked.text) == ("contact", "Ivan", ASKED)


async def test_hand_marked_line_stays_with_its_author(db: Database, project: Scope):
    await store_messages(db, project, agent("> marzipan is sold out until Easter\nWould nougat do instead, perhaps?"))
    [hit] = await found(db, project, "> marzipan")
    assert (hit.sender_type, hit.sender_name) == ("agent", "Anna")


async def test_quotation_is_replaced_when_its_message_arrives(db: Database, project: Scope):
    await store_messages(db, project, agent(REPLY), first_id=200)
    assert [hit.message_global_id[-3:] for hit in await found(db, project, "turquoise raincoat")] == ["200"]
    await store_messages(db, project, Line(ASKED, name="Ivan Petrov"), first_id=110)
    assert [hit.message_global_id[-3:] for hit in await found(db, project, "turquoise raincoat")] == ["110"]
    stored = "SELECT message_id, chunk_index, sender_type, quoted_from FROM rag_chunks ORDER BY 1, 2"
    assert await fetch_rows(db, project, stored) == [(110, 0, "contact", None), (200, 0, "agent", None)]
