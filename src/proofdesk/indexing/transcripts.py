"""What a message says, and what is told about a chunk before its text when it is embedded. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from proofdesk.indexing.chunking import sentences

_ASKED_CHARS = 200
_NAME_CHARS = 60
_SUBJECT_CHARS = 150


@dataclass(frozen=True)
class Said:
    """A message as chunks need it: public, not deleted, not an activity line.

    `content` is the new part of an e-mail, and None for what Proofdesk's words are not: templates. `submitted` is
    what somebody entered into a form of the message. `whole` is an e-mail with what it quotes. `quoted_from` names who
    wrote what stands in the message only as a quotation ("": not named), None for the words of its sender.
    """

    account_id: int
    conversation_id: int
    message_id: int
    inbox_id: int
    sender_type: str
    sender_name: str | None
    content: str | None
    subject: str | None
    submitted: Any
    attachments: list[dict[str, Any]]
    created_at: datetime
    whole: str | None = None
    quoted_from: str | None = None
    items: Any = None


def of(message: Said) -> str:
    """The words of a message, "" when it has none.

    That is its text, what its cards show, what was entered into its form and what was spoken; without any of these,
    the titles and names of what is attached.
    """
    content = (message.content or "").replace("\\\n", "\n").strip()
    spoken = [str(item.get("transcribed_text") or "").strip() for item in message.attachments]
    found = [text for text in (content, *_shown(message.items), *_entered(message.submitted), *spoken) if text]
    return "\n".join(found or _names(message.attachments))


def context(message: Said, inbox: str, asked: tuple[Said, str] | None) -> str:
    """What a chunk needs to be understood alone: who speaks where, about what, and what the other side said before.

    `message` is the one the chunk points at, `asked` the last message of the other side before it with its words.
    People are told by their role: names made vectors of unlike conversations alike, and are found by words anyway.
    """
    lines = [f"{message.sender_type}, {inbox[:_NAME_CHARS]}"]
    if message.subject:
        lines.append(message.subject[:_SUBJECT_CHARS])
    if asked:
        before, said = asked
        lines.append(f"{before.sender_type}: {' '.join(sentences.tail(said, _ASKED_CHARS).split())}")
    return "\n".join(lines)


def embedded(context: str, text: str) -> str:
    """What is given to the model for a chunk."""
    return f"{context}\n{text}" if context else text


# What people read of an item, by Chatwoot's `ContentAttributeValidator`: of cards, choices, fields of forms, articles.
_READ = ("title", "label", "description", "placeholder", "default", "value", "text")
_NESTED = ("actions", "options")


def _shown(items: Any) -> Iterator[str]:
    """The texts of cards, choices, fields or articles: one line for each item, for each of its buttons or options."""
    for item in cast("list[Any]", items) if isinstance(items, list) else ():
        if isinstance(item, dict):
            fields = cast("dict[str, Any]", item)
            yield " ".join(_different(fields.get(key) for key in _READ))
            for key in _NESTED:
                yield from _shown(fields.get(key))
        else:
            yield from _different([item])


def _entered(submitted: Any) -> Iterator[str]:
    # A satisfaction survey has an object with the comment in it; forms and choices are lists of fields.
    if isinstance(submitted, dict):
        answers = cast("dict[str, Any]", submitted)
        survey = answers.get("csat_survey_response")
        yield from _different([survey.get("feedback_message")] if isinstance(survey, dict) else answers.values())
    elif isinstance(submitted, list):
        for field in submitted:
            if isinstance(field, dict):
                yield " ".join(_different((field.get("title"), field.get("value"))))
    else:
        yield from _different([submitted])


def _different(values: Iterable[Any]) -> Iterator[str]:
    """The texts and numbers among values, each once whatever its case: a choice is often called by its value."""
    told = set[str]()
    for value in values:
        text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
        if text and text.casefold() not in told:
            told.add(text.casefold())
            yield text


def _names(attachments: list[dict[str, Any]]) -> list[str]:
    names = [str(item.get("fallback_title") or "").strip() or _file_name(item) for item in attachments]
    return [name for name in names if name]


def _file_name(attachment: dict[str, Any]) -> str:
    # The address of a stored file ends with its name; one without a stored file leads elsewhere.
    if attachment.get("file_size") is None:
        return ""
    try:
        path = urlsplit(str(attachment.get("data_url") or "")).path
    except ValueError:
        return ""
    return unquote(path.rpartition("/")[2]).replace("\0", "").strip()  # the one character that cannot be stored
