"""One conversation that a stage cannot work on is set aside with the reason, so that all others get through."""

import traceback
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from proofdesk.chatwoot import cursor_queries
from proofdesk.database.bisect import in_halves
from proofdesk.database.rows import Conn
from proofdesk.indexing.chunking.queries import Conversation
from proofdesk.projects.scope import Scope

Taken = TypeVar("Taken", bound=Conversation)
Made = TypeVar("Made")
Result = TypeVar("Result")


class SetAside:
    """The conversations that one run of a stage set aside; the run does not take them again, the next one does."""

    def __init__(self, entity: Literal["chunks", "terms"]):
        self._entity = entity
        self._reasons: dict[tuple[int, int], str] = {}

    def __len__(self) -> int:
        return len(self._reasons)

    @property
    def keys(self) -> list[tuple[int, int]]:
        """Their account and number."""
        return list(self._reasons)

    def make(self, taken: Sequence[Taken], make: Callable[[Taken], Made]) -> list[Made]:
        """What is made of each conversation; one on which that fails is set aside."""
        made: list[Made] = []
        for one in taken:
            try:
                made.append(make(one))
            except (ImportError, OSError):  # of the installation, whatever the conversation holds
                raise
            except Exception as error:
                self._reasons[_key(one)] = _reason(error)
        return made

    async def each(
        self,
        conn: Conn,
        scope: Scope,
        taken: Sequence[Taken],
        work: Callable[[Sequence[Taken]], Awaitable[Result]],
    ) -> list[Result]:
        """Do the work for all; set aside those on which it fails alone, and no longer those on which it succeeds."""
        results, refused = await in_halves(conn, taken, work)
        self._reasons |= {(one.account_id, one.conversation_id): reason for one, reason in refused}
        failed = {key: self._reasons[key] for one in taken if (key := _key(one)) in self._reasons}
        await cursor_queries.release_conversations(conn, scope, self._entity, [k for one in taken if (k := _key(one)) not in failed])
        if failed:
            await cursor_queries.quarantine_conversations(conn, scope, self._entity, failed)
        return results

    def without(self, taken: Sequence[Taken]) -> list[Taken]:
        """Those that are not set aside."""
        return [one for one in taken if _key(one) not in self._reasons]


def _reason(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"Unexpected {type(error).__name__} in {Path(place.filename).name}, line {place.lineno}: {error}"


def _key(one: Conversation) -> tuple[int, int]:
    return one.account_id, one.conversation_id
