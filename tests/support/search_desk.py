"""A help desk for search tests: inserted conversations, then the real indexing stages."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from proofdesk.database.pool import Database
from proofdesk.indexing import vectors
from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.incremental import index_conversations
from proofdesk.projects.scope import Scope
from proofdesk.search import results
from proofdesk.search.results import Hit, SearchFilters, SearchQuery, SearchResults
from proofdesk.settings import Settings
from tests.support.embedding import local_model

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SETTINGS = Settings(embedding_provider="local", chatwoot_base_url="https://desk.example.com/")
ANNA = ("Anna Petrova", "anna@example.com", "+49 151 5550 1234")


@dataclass
class Desk:
    """The conversations of one project, numbered from 1, a day apart. Messages are a minute apart."""

    db: Database
    scope: Scope
    account: int = 1
    count: int = 0
    _contacts: dict[tuple[Any, ...], int] = field(default_factory=dict)

    async def talk(self, *lines: str, contact: tuple[Any, ...] = ANNA, inbox: int = 1, **values: Any) -> int:
        """Insert a conversation and return its number. A line that starts with `> ` is the agent's."""
        self.count += 1
        row = {"labels": [], "status": "open"} | values
        who = self._contacts.setdefault(contact, len(self._contacts) + 1)
        key = {"p": self.scope.project_id, "s": self.scope.account_scope_id, "a": self.account, "c": self.count}
        key |= {"who": who, "inbox": inbox, "name": contact[0], "email": contact[1], "phone": contact[2]} | row
        key |= {"at": START + timedelta(days=self.count)}
        async with self.db.scoped(self.scope) as conn:
            await conn.execute(_INBOX, key)
            await conn.execute(_CONTACT, key)
            await conn.execute(_CONVERSATION, key)
            for number, line in enumerate(lines):
                await conn.execute(_MESSAGE, key | _message(self.count * 100 + number, line, number, key["at"]))
        return self.count

    async def ready(self, *, embed: bool = True) -> None:
        """Build chunks, keyword index and vectors."""
        await index_conversations(self.db, self.scope, ChunkLimits(1000, 30))
        if embed:
            await vectors.embed_pending(self.db, self.scope, local_model(), vectors.EmbeddingOptions())

    async def ask(self, text: str, mode: Any = "hybrid", top_k: int = 10, **filters: Any) -> SearchResults:
        """Search with the local model."""
        question = SearchQuery(text, top_k, mode, SearchFilters(**filters))
        return await results.search(self.db, self.scope, local_model(), SETTINGS, question)

    async def found(self, text: str, mode: Any = "text", **more: Any) -> list[int]:
        """Return the numbers of the conversations of the hits, best first."""
        return [hit.conversation_id for hit in (await self.ask(text, mode, **more)).results]

    async def first(self, text: str, mode: Any = "hybrid", **more: Any) -> Hit:
        """Return the best hit."""
        return (await self.ask(text, mode, **more)).results[0]

    async def change(self, statement: Any, **values: Any) -> None:
        """Execute a statement in the scope of the project."""
        async with self.db.scoped(self.scope) as conn:
            await conn.execute(statement, values)

    async def delete(self, message_id: int) -> None:
        """Delete a message as a sync does."""
        await self.change(
            "UPDATE cw_messages SET deleted = true, content = 'This message was deleted' WHERE message_id = %(m)s",
            m=message_id,
        )
        await self.change(
            "UPDATE cw_conversations SET content_version = content_version + 1 WHERE conversation_id = %(c)s",
            c=message_id // 100,
        )

    async def rows(self, statement: Any, **values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query in the scope of the project."""
        async with self.db.scoped(self.scope) as conn:
            return await (await conn.execute(statement, values)).fetchall()


def _message(number: int, line: str, minute: int, start: datetime) -> dict[str, Any]:
    kind = "outgoing" if line.startswith("> ") else "activity" if line.startswith("* ") else "incoming"
    by = {"outgoing": "agent", "activity": "system", "incoming": "contact"}[kind]
    note = line.startswith("> note:")
    text = line if by == "contact" else line[2:]
    at = start + timedelta(minutes=minute)
    return {"m": number, "kind": kind, "by": by, "text": text, "note": note, "at": at, "empty": json.dumps({})}


_INBOX = """
    INSERT INTO cw_inboxes VALUES (%(p)s, %(s)s, %(a)s, %(inbox)s, 'Inbox ' || %(inbox)s, 'Channel::WebWidget')
    ON CONFLICT DO NOTHING"""
_CONTACT = """
    INSERT INTO cw_contacts (project_id, account_scope_id, account_id, contact_id, name, email, phone_number, blocked,
        additional_attributes, custom_attributes)
    VALUES (%(p)s, %(s)s, %(a)s, %(who)s, %(name)s, %(email)s, %(phone)s, false, '{}', '{}') ON CONFLICT DO NOTHING"""
_CONVERSATION = """
    INSERT INTO cw_conversations (project_id, account_scope_id, account_id, conversation_id, inbox_id, contact_id,
        status, labels, additional_attributes, custom_attributes, last_activity_at, created_at, updated_at, read_mark)
    VALUES (%(p)s, %(s)s, %(a)s, %(c)s, %(inbox)s, %(who)s, %(status)s, %(labels)s, '{}', '{}', %(at)s, %(at)s, %(at)s,
        'read')"""
_MESSAGE = """
    INSERT INTO cw_messages (project_id, account_scope_id, account_id, message_id, conversation_id, inbox_id,
        message_type, content_type, content, private, deleted, sender_type, sender_name, content_attributes,
        attachments, created_at)
    VALUES (%(p)s, %(s)s, %(a)s, %(m)s, %(c)s, %(inbox)s, %(kind)s, 'text', %(text)s, %(note)s, false, %(by)s,
        CASE %(by)s WHEN 'agent' THEN 'Ben' WHEN 'contact' THEN %(name)s END, %(empty)s, '[]', %(at)s)"""
