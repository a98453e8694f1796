"""The sources of a project, with the default account."""

from proofdesk.database.pool import Database
from proofdesk.errors import Conflict
from proofdesk.projects import sources
from proofdesk.projects.scope import Scope
from proofdesk.projects.source_queries import Source


class SourceBindingError(Conflict):
    """A source of the project does not exist in Chatwoot, or the project has none."""

    code = "chatwoot_source_binding_error"


class NoSourceBound(SourceBindingError):
    """The project has no source, and the default account cannot be bound."""

    pauses = True


async def bound_sources(db: Database, scope: Scope, default_account_id: int | None) -> list[Source]:
    """Return the sources of the project. A project that never had one is bound to the default account.

    Raises `NoSourceBound` when there is no default account, it is bound to another project, or the owner has not
    allowed the creator of the project to bind sources.
    """
    bound = await sources.list_sources(db, scope)
    if bound:
        return bound
    if await sources.was_ever_bound(db, scope):
        raise NoSourceBound("This project has no Chatwoot source any more. Bind one to continue.")
    if default_account_id is None:
        raise NoSourceBound("This project has no Chatwoot source. Bind one, or set CHATWOOT_ACCOUNT_ID.")
    try:
        return [await sources.bind_default(db, scope, default_account_id)]
    except sources.BindingNotAllowed as error:
        raise NoSourceBound(error.message) from error
    except sources.SourceAlreadyBound as error:
        raise NoSourceBound(
            f"This project has no Chatwoot source, and account {default_account_id} of CHATWOOT_ACCOUNT_ID, or an"
            " inbox of it, is bound to another project. Bind an inbox to this project, or unbind it there.",
            details={"account_id": default_account_id},
        ) from error
