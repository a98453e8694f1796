"""Who acts: the actor that every scope, job run and change of state carries."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class Actor:
    """A person, or Proofdesk itself when a job acts. `request_id` names the request that caused it."""

    username: str
    user_id: UUID | None
    is_owner: bool
    request_id: str | None = None


def system(request_id: str | None = None) -> Actor:
    """Proofdesk acting on its own, by schedule or from the command line."""
    return Actor("system", None, True, request_id)
