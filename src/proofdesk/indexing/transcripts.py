"""Transcripts: the messages of a conversation in order, each with its own words, and the text of a message."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from proofdesk.database.rows import Conn
from proofdesk.indexing import transcript_queries as queries
from proofdesk.indexing.chunking import attribution
from proofdesk.indexing.transcript_queries import ConversationKey, StaleConversation, TranscriptMessage
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class Transcript:
    """A conversation and its public messages, oldest first."""

    conversation: StaleConversation
    stored_messages: Sequence[TranscriptMessage]

    @cached_property
    def messages(self) -> list[TranscriptMessage]:
        """The messages with quoted words given to their authors. Computed once, in the thread of the first reader."""
        return attribution.attribute_quotes(self.stored_messages)


async def read_transcripts(conn: Conn, scope: Scope, conversations: Sequence[StaleConversation]) -> list[Transcript]:
    """Read the transcripts of conversations, in the order given."""
    messages: dict[ConversationKey, list[TranscriptMessage]] = defaultdict(list)
    for message in await queries.public_messages(conn, scope, conversations):
        messages[message.account_id, message.conversation_id].append(message)
    return [Transcript(conversation, messages[conversation.key]) for conversation in conversations]


def message_text(message: TranscriptMessage) -> str:
    """Return the text of a message, "" when it has none.

    That is its content, what its cards show, what was entered into its form and what was spoken; without any of these,
    the titles and file names of its attachments.
    """
    content = (message.content or "").replace("\\\n", "\n").strip()
    spoken = [str(item.get("transcribed_text") or "").strip() for item in message.attachments]
    texts = [text for text in (content, *_item_texts(message.items), *_entries(message.submitted), *spoken) if text]
    return "\n".join(texts or _attachment_names(message.attachments))


# The texts of an item that Chatwoot shows, by its `ContentAttributeValidator`: of cards, choices, fields and articles.
_TEXT_FIELDS = ("title", "label", "description", "placeholder", "default", "value", "text")
_NESTED_FIELDS = ("actions", "options")


def _item_texts(items: Any) -> Iterator[str]:
    """Yield one line for each card, choice, field or article, and for each of its buttons or options."""
    for item in cast("list[Any]", items) if isinstance(items, list) else ():
        if isinstance(item, dict):
            fields = cast("dict[str, Any]", item)
            yield " ".join(_distinct_texts(fields.get(key) for key in _TEXT_FIELDS))
            for key in _NESTED_FIELDS:
                yield from _item_texts(fields.get(key))
        else:
            yield from _distinct_texts([item])


def _entries(submitted: Any) -> Iterator[str]:
    # A satisfaction survey holds an object with the comment; forms and choices hold a list of fields.
    if isinstance(submitted, dict):
        answers = cast("dict[str, Any]", submitted)
        survey = answers.get("csat_survey_response")
        yield from _distinct_texts([survey.get("feedback_message")] if isinstance(survey, dict) else answers.values())
    elif isinstance(submitted, list):
        for field in submitted:
            if isinstance(field, dict):
                yield " ".join(_distinct_texts((field.get("title"), field.get("value"))))
    else:
        yield from _distinct_texts([submitted])


def _distinct_texts(values: Iterable[Any]) -> Iterator[str]:
    """Yield texts and numbers, each once whatever its case: the title of a choice often equals its value."""
    seen = set[str]()
    for value in values:
        text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
        if text and text.casefold() not in seen:
            seen.add(text.casefold())
            yield text


def _attachment_names(attachments: list[dict[str, Any]]) -> list[str]:
    names = [str(item.get("fallback_title") or "").strip() or _file_name(item) for item in attachments]
    return [name for name in names if name]


def _file_name(attachment: dict[str, Any]) -> str:
    # The URL of a stored file ends with its name. An attachment without a file size is a link to another site.
    if attachment.get("file_size") is None:
        return ""
    try:
        path = urlsplit(str(attachment.get("data_url") or "")).path
    except ValueError:
        return ""
    return unquote(path.rpartition("/")[2]).replace("\0", "").strip()  # PostgreSQL stores every character but this
