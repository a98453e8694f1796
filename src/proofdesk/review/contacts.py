"""Contacts as they were imported."""

from proofdesk.db.pool import Database
from proofdesk.projects.scope import Scope
from proofdesk.review import queries
from proofdesk.review.queries import Contact


async def find(db: Database, scope: Scope, q: str | None, limit: int, offset: int) -> list[Contact]:
    """Contacts with `q` in their name, address, number or identifier; all of them when it is blank."""
    async with db.scoped(scope) as conn:
        return await queries.contacts(conn, scope, _pattern(q), limit, offset)


def _pattern(q: str | None) -> str | None:
    if not q or not q.strip():
        return None
    literal = q.strip()[:200].replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{literal}%"
