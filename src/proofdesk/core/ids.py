"""Global ids: strings of the API that name a Chatwoot record in a project."""

from dataclasses import dataclass
from uuid import UUID

from proofdesk.errors import Invalid

PREFIXES = {"contact": "cwc", "conversation": "cw", "message": "cwmsg"}


def contact(project_id: UUID | str, account_id: int, contact_id: int | None) -> str | None:
    """`cwc:<project>:<account>:<contact>`, or None if the contact is unknown."""
    return None if contact_id is None else f"cwc:{project_id}:{account_id}:{contact_id}"


def conversation(project_id: UUID | str, account_id: int, conversation_id: int) -> str:
    """`cw:<project>:<account>:<conversation>`, with Chatwoot's display id."""
    return f"cw:{project_id}:{account_id}:{conversation_id}"


def message(project_id: UUID | str, account_id: int, message_id: int) -> str:
    """`cwmsg:<project>:<account>:<message>`."""
    return f"cwmsg:{project_id}:{account_id}:{message_id}"


def chunk(project_id: UUID | str, account_id: int, message_id: int, chunk_index: int) -> str:
    """`cwmsg:<project>:<account>:<message>#<index>`: stable as long as the message is unchanged."""
    return f"{message(project_id, account_id, message_id)}#{chunk_index}"


@dataclass(frozen=True)
class GlobalId:
    """A parsed global id. `number` is the contact, conversation or message id of that account."""

    kind: str
    project_id: UUID
    account_id: int
    number: int


def parse(text: str, kind: str) -> GlobalId:
    """Parse a global id of one kind (`contact`, `conversation` or `message`).

    Raises `Invalid` when the text has another form or another prefix.
    """
    try:
        prefix, project, account, number = text.split(":")
        if prefix != PREFIXES[kind]:
            raise ValueError(prefix)
        return GlobalId(kind, UUID(project), _positive(account), _positive(number))
    except ValueError as error:
        form = f"{PREFIXES[kind]}:<project>:<account>:<{kind}>"
        raise Invalid(f"{text[:80]!r} is not a {kind} id; expected {form}.") from error


def _positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 0 < number < 2**63:
        raise ValueError(text)
    return number
