"""SQL that reads what an answer may cite: messages of conversations, and conversations of named contacts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from proofdesk.database.rows import Conn, fetch_all
from proofdesk.projects.scope import Scope

ConversationKey = tuple[int, int]


@dataclass(frozen=True)
class CitableMessage:
    """A message that an answer may cite, with its current text. `sender_type` is `contact`, `agent` or another side."""

    account_id: int
    conversation_id: int
    message_id: int
    contact_id: int | None
    contact_name: str | None
    sender_type: str
    sender_name: str | None
    private: bool
    content: str
    created_at: datetime

    @property
    def conversation(self) -> ConversationKey:
        return self.account_id, self.conversation_id


@dataclass(frozen=True)
class ReadWindow:
    """Which messages of a conversation are read: the last ones, and those around the messages `hits`."""

    hits: Sequence[int]
    last: int = 150
    around: int = 15


@dataclass(frozen=True)
class NamedConversation:
    """A conversation of a contact whose name matches."""

    account_id: int
    conversation_id: int


@dataclass(frozen=True)
class TermFrequency:
    """A term and the number of conversations that hold it."""

    term: str
    df: int


async def list_messages(
    conn: Conn,
    scope: Scope,
    conversation_keys: Sequence[ConversationKey],
    window: ReadWindow,
    *,
    include_private: bool,
) -> list[CitableMessage]:
    """Return messages of conversations, oldest first, without activity lines and deleted messages.

    These are the last ones of each conversation, and those around the messages of the window.
    """
    return await fetch_all(
        conn,
        CitableMessage,
        """
        SELECT m.account_id, m.conversation_id, m.message_id, c.contact_id, k.name AS contact_name,
               CASE WHEN m.message_type = 'template' THEN 'bot' ELSE m.sender_type END AS sender_type,
               m.sender_name, m.private, m.content, m.created_at
        FROM unnest(%(accounts)s::bigint[], %(conversations)s::bigint[]) q (account_id, conversation_id)
        JOIN cw_conversations c ON c.project_id = %(project)s AND c.account_id = q.account_id
            AND c.conversation_id = q.conversation_id
        LEFT JOIN cw_contacts k ON k.project_id = c.project_id AND k.account_id = c.account_id
            AND k.contact_id = c.contact_id
        CROSS JOIN LATERAL (
            (SELECT m.message_id FROM cw_messages m
             WHERE m.project_id = c.project_id AND m.account_id = c.account_id
               AND m.conversation_id = c.conversation_id
             ORDER BY m.created_at DESC, m.message_id DESC LIMIT %(last)s)
            UNION
            SELECT near.message_id
            FROM cw_messages hit
            CROSS JOIN LATERAL (
                (SELECT b.message_id FROM cw_messages b
                 WHERE b.project_id = c.project_id AND b.account_id = c.account_id
                   AND b.conversation_id = c.conversation_id AND b.created_at <= hit.created_at
                 ORDER BY b.created_at DESC, b.message_id DESC LIMIT %(around)s)
                UNION ALL
                (SELECT a.message_id FROM cw_messages a
                 WHERE a.project_id = c.project_id AND a.account_id = c.account_id
                   AND a.conversation_id = c.conversation_id AND a.created_at > hit.created_at
                 ORDER BY a.created_at, a.message_id LIMIT %(around)s)) near
            WHERE hit.project_id = c.project_id AND hit.account_id = c.account_id
              AND hit.conversation_id = c.conversation_id AND hit.message_id = ANY (%(hits)s::bigint[])) chosen
        JOIN cw_messages m ON m.project_id = c.project_id AND m.account_id = c.account_id
            AND m.message_id = chosen.message_id
        WHERE NOT m.deleted AND m.message_type <> 'activity' AND m.content <> ''
          AND (NOT m.private OR %(include_private)s)
        ORDER BY m.account_id, m.conversation_id, m.created_at, m.message_id""",
        project=scope.project_id,
        accounts=[account for account, _ in conversation_keys],
        conversations=[conversation for _, conversation in conversation_keys],
        include_private=include_private,
        last=window.last,
        around=window.around,
        hits=list(window.hits),
    )


async def list_named_conversations(
    conn: Conn, scope: Scope, name_patterns: Sequence[str], limit: int
) -> list[NamedConversation]:
    """Return conversations whose contact's name matches one of the patterns, those matching most patterns first."""
    return await fetch_all(
        conn,
        NamedConversation,
        """
        SELECT c.account_id, c.conversation_id
        FROM (SELECT account_id, contact_id,
                     (SELECT count(*) FROM unnest(%(patterns)s::text[]) p WHERE k.name ILIKE p) AS matches
              FROM cw_contacts k
              WHERE project_id = %(project)s AND name ILIKE ANY (%(patterns)s::text[])
              ORDER BY matches DESC, account_id, contact_id LIMIT %(limit)s) k
        JOIN cw_conversations c ON c.project_id = %(project)s AND c.account_id = k.account_id
            AND c.contact_id = k.contact_id
        ORDER BY k.matches DESC, c.last_activity_at DESC, c.conversation_id LIMIT %(limit)s""",
        project=scope.project_id,
        patterns=list(name_patterns),
        limit=limit,
    )


async def list_term_frequencies(conn: Conn, scope: Scope, terms: Sequence[str]) -> list[TermFrequency]:
    """Return in how many conversations these terms of the keyword index occur."""
    return await fetch_all(
        conn,
        TermFrequency,
        """
        SELECT term, df FROM search_terms
        WHERE project_id = %(project)s AND term = ANY (%(terms)s::text[]) AND df > 0""",
        project=scope.project_id,
        terms=list(terms),
    )
