"""What a project reads of Chatwoot."""

from proofdesk.database.pool import Database
from proofdesk.errors import Conflict
from proofdesk.projects import sources
from proofdesk.projects.scope import Scope
from proofdesk.projects.source_queries import Source


class SourceBindingError(Conflict):
    """The project's sources do not fit what Chatwoot has, or there are none."""

    code = "chatwoot_source_binding_error"


class NoSourceBound(SourceBindingError):
    """There is no source to read, and none that could be bound by itself."""

    pauses = True


async def bound_sources(db: Database, scope: Scope, default_account_id: int | None) -> list[Source]:
    """What the project reads; a project that never read anything is given the default account.

    Raises `NothingBound` when there is no default account or another project has it.
    """
    bound = await sources.list_sources(db, scope)
    if bound:
        return bound
    if await sources.was_ever_bound(db, scope):
        raise NoSourceBound("This project reads no Chatwoot source any more. Bind one to go on.")
    if default_account_id is None:
        raise NoSourceBound("This project reads no Chatwoot source: bind one, or set CHATWOOT_ACCOUNT_ID.")
    try:
        return [await sources.bind(db, scope, "chatwoot_account", str(default_account_id))]
    except sources.SourceAlreadyBound as error:
        raise NoSourceBound(
            f"This project reads no Chatwoot source, and another project has account {default_account_id} of"
            " CHATWOOT_ACCOUNT_ID or an inbox of it. Bind an inbox to this project, or unbind it there.",
            details={"account_id": default_account_id},
        ) from error
