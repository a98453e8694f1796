"""Sources: which Chatwoot accounts and inboxes a project reads. One source belongs to one project."""

from uuid import UUID

from proofdesk.db.pool import Database
from proofdesk.errors import Conflict, Invalid, NotFound
from proofdesk.projects import queries
from proofdesk.projects.queries import Source
from proofdesk.projects.scope import Scope

KINDS = ("chatwoot_account", "chatwoot_inbox")


class SourceAlreadyBound(Conflict):
    """This project or another one reads the source, the account around it, or an inbox in it."""

    code = "source_already_bound"


class SourceNotFound(NotFound):
    """The project has no such source."""

    code = "source_not_found"


async def bound(db: Database, scope: Scope) -> list[Source]:
    """What the project reads, oldest first."""
    async with db.scoped(scope) as conn:
        return await queries.sources(conn, scope)


async def bind(db: Database, scope: Scope, kind: str, external_id: str) -> Source:
    """Bind an account (`"<account>"`) or an inbox (`"<account>:<inbox>"`) to the project.

    Raises `Invalid` for another form and `SourceAlreadyBound` when it is taken.
    """
    account_id, inbox_id = parse(kind, external_id)
    external_id = str(account_id) if inbox_id is None else f"{account_id}:{inbox_id}"
    async with db.scoped(scope) as conn:
        await queries.lock_account(conn, account_id)
        if await queries.claimed_by_another(conn, scope, account_id, inbox_id):
            raise SourceAlreadyBound(f"Chatwoot source {external_id} belongs to another project, whole or in part.")
        if not await queries.claim(conn, scope, kind, external_id, account_id):
            raise SourceAlreadyBound(f"Chatwoot source {external_id} is bound to this project already.")
        return await queries.insert_source(conn, scope, kind, external_id, account_id, inbox_id)


async def unbind(db: Database, scope: Scope, source_id: UUID) -> None:
    """Stop reading a source. What was imported from it stays. Raises `SourceNotFound`."""
    async with db.scoped(scope) as conn:
        if not await queries.delete_source(conn, scope, source_id):
            raise SourceNotFound("This project has no such source.")


def parse(kind: str, external_id: str) -> tuple[int, int | None]:
    """Account and inbox of an external id (inbox None for a whole account). Raises `Invalid`."""
    parts = external_id.strip().split(":")
    if kind not in KINDS:
        raise Invalid(f"source_kind is one of {', '.join(KINDS)}.", code="invalid_source")
    wanted = 1 if kind == "chatwoot_account" else 2
    if len(parts) != wanted or not all(p.isascii() and p.isdigit() and 0 < int(p) < 2**63 for p in parts):
        form = "<account>" if wanted == 1 else "<account>:<inbox>"
        raise Invalid(f"external_id of a {kind} has the form {form}, in numbers.", code="invalid_source")
    return int(parts[0]), int(parts[1]) if wanted == 2 else None
