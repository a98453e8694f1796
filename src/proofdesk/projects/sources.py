"""Bind Chatwoot accounts and inboxes to projects. A source belongs to one project."""

from uuid import UUID

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Conflict, Denied, Invalid, NotFound
from proofdesk.projects import queries, source_queries
from proofdesk.projects.scope import ProjectNotFound, Scope
from proofdesk.projects.source_queries import Source

UNBOUND_NOTICE = "The import has stopped. What was imported stays in the project."
"""Shown after a source is unbound."""

KINDS = ("chatwoot_account", "chatwoot_inbox")


ReadableInboxes = dict[int, frozenset[int] | None]
"""The inboxes that a project reads, for each Chatwoot account; None: all inboxes of the account."""


class SourceAlreadyBound(Conflict):
    """A project has bound this source, the account that contains it, or an inbox in it."""

    code = "source_already_bound"


class BindingNotAllowed(Denied):
    """The owner does not allow this user to bind sources."""

    code = "forbidden"

    def __init__(self, message: str):
        super().__init__(message, status=403)


class SourceUnbound(Conflict):
    """The source was unbound during an import."""

    code = "source_unbound"


class SourceNotFound(NotFound):
    """The project has no such source."""

    code = "source_not_found"


async def list_sources(db: Database, scope: Scope) -> list[Source]:
    """Return the sources of the project, oldest first."""
    async with db.scoped(scope) as conn:
        return await source_queries.list_sources(conn, scope)


async def load_readable_inboxes(db: Database, scope: Scope) -> ReadableInboxes:
    """Return the inboxes that the project reads."""
    inboxes: ReadableInboxes = {}
    for source in await list_sources(db, scope):
        account_inboxes = inboxes.get(source.account_id, frozenset())
        if source.inbox_id is None or account_inboxes is None:
            inboxes[source.account_id] = None
        else:
            inboxes[source.account_id] = account_inboxes | {source.inbox_id}
    return inboxes


async def bind(db: Database, scope: Scope, kind: str, external_id: str) -> Source:
    """Bind an account (`"<account>"`) or an inbox (`"<account>:<inbox>"`) to the project.

    Only the owner may, and managers whom the owner allows. Raises `Invalid` for an invalid id, `RoleRequired`,
    `BindingNotAllowed`, `SourceAlreadyBound`, and `ProjectNotFound` when the project was archived.
    """
    scope.require("manager")
    parse_external_id(kind, external_id)
    async with db.scoped(scope) as conn:
        if not await source_queries.may_bind(conn, scope.actor):
            raise BindingNotAllowed("Only the owner may bind a source, or users whom the owner allows. Ask the owner.")
        return await _bind(conn, scope, kind, external_id)


async def bind_default(db: Database, scope: Scope, account_id: int) -> Source:
    """Bind the default account to a project that the owner, or a user whom the owner allows, has created.

    Raises `BindingNotAllowed`, `SourceAlreadyBound` and `ProjectNotFound`.
    """
    async with db.scoped(scope) as conn:
        if not await source_queries.takes_default_account(conn, scope):
            raise BindingNotAllowed("This project has no Chatwoot source. Ask the owner to bind one.")
        return await _bind(conn, scope, "chatwoot_account", str(account_id))


async def may_bind(db: Database, scope: Scope) -> bool:
    """Return whether the actor may bind sources."""
    async with db.statement() as conn:
        return await source_queries.may_bind(conn, scope.actor)


async def unbind(db: Database, scope: Scope, source_id: UUID) -> Source:
    """Unbind a source and return it. Imported data stays. Raises `SourceNotFound`, and `RoleRequired` below manager."""
    scope.require("manager")
    async with db.scoped(scope) as conn:
        unbound = await source_queries.delete_sources(conn, scope, source_id)
        if not unbound:
            raise SourceNotFound("This project has no such source.")
        await _record(conn, scope, "source.unbound", unbound[0])
    return unbound[0]


async def find_source_id(db: Database, scope: Scope, external_id: str) -> UUID:
    """Return the id of the source with this external id. Raises `SourceNotFound`."""
    for source in await list_sources(db, scope):
        if source.external_id == external_id.strip():
            return source.id
    raise SourceNotFound(f"This project has no source {external_id[:80]!r}. `proofdesk source list` shows its sources.")


async def lock_sources(conn: Conn, scope: Scope, account_id: int, inbox_ids: frozenset[int] | None) -> None:
    """Lock the binding of an account (`inbox_ids` None) or of inboxes for the transaction. Raises `SourceUnbound`."""
    inboxes = None if inbox_ids is None else sorted(inbox_ids)
    if await source_queries.lock_sources(conn, scope, account_id, inboxes) < (1 if inboxes is None else len(inboxes)):
        raise SourceUnbound("The import stopped because the source was unbound. Imported data stays in the project.")


async def was_ever_bound(db: Database, scope: Scope) -> bool:
    """Return whether the project has or had a source."""
    async with db.scoped(scope) as conn:
        return await source_queries.was_ever_bound(conn, scope)


def parse_external_id(kind: str, external_id: str) -> tuple[int, int | None]:
    """Return the account id and inbox id of an external id (inbox None for a whole account). Raises `Invalid`."""
    parts = external_id.strip().split(":")
    if kind not in KINDS:
        raise Invalid(f"`source_kind` must be one of {', '.join(KINDS)}.", code="invalid_source")
    part_count = 1 if kind == "chatwoot_account" else 2
    if len(parts) != part_count or not all(p.isascii() and p.isdigit() and 0 < int(p) < 2**63 for p in parts):
        form = "<account>" if part_count == 1 else "<account>:<inbox>"
        raise Invalid(f"`external_id` of a {kind} must have the form {form}, in numbers.", code="invalid_source")
    return int(parts[0]), int(parts[1]) if part_count == 2 else None


async def _bind(conn: Conn, scope: Scope, kind: str, external_id: str) -> Source:
    account_id, inbox_id = parse_external_id(kind, external_id)
    external_id = str(account_id) if inbox_id is None else f"{account_id}:{inbox_id}"
    if not await queries.lock_unarchived(conn, scope):
        raise ProjectNotFound("There is no such project.")
    await source_queries.lock_account(conn, account_id)
    if await source_queries.is_claimed_by_another(conn, scope, account_id, inbox_id):
        raise SourceAlreadyBound(f"Another project has bound Chatwoot source {external_id} or a part of it.")
    if not await source_queries.claim(conn, scope, kind, external_id, account_id):
        raise SourceAlreadyBound(f"Chatwoot source {external_id} is already bound to this project.")
    source = await source_queries.insert_source(conn, scope, kind, external_id, account_id, inbox_id)
    await source_queries.record_first_binding(conn, scope)
    await _record(conn, scope, "source.bound", source)
    return source


async def _record(conn: Conn, scope: Scope, action: str, source: Source) -> None:
    payload = {"source_kind": source.source_kind, "external_id": source.external_id}
    await events.record(conn, scope.actor, action, "source", source.id, scope=scope, payload=payload)
