"""Backups: whether the last one succeeded, and how old it is."""

from proofdesk.runbooks import database_queries
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import Check, Fix, Observation, fail, ok, skip

_MAX_DAYS = 8
"""A day more than a weekly backup needs."""


async def check_backup(context: RunbookContext) -> Observation:
    """Check that the last backup succeeded and is not too old."""
    async with context.resources.db.statement() as conn:
        last = await database_queries.fetch_backup_age(conn)
    if last is None:
        return skip("No backup was made with `proofdesk backup`. Other backups are not known.")
    if last.error is not None:
        return fail(f"The backup of {last.finished_at:%Y-%m-%d %H:%M} UTC failed: {last.error}")
    days = last.good_days or 0
    if days > _MAX_DAYS:
        text = f"The last backup is {days:.0f} days old."
        return fail(text, text)
    return ok(f"The backup of {last.finished_at:%Y-%m-%d %H:%M} UTC succeeded.")


BACKUP = Check(
    "backup",
    "Backup",
    f"The last backup succeeded and is at most {_MAX_DAYS} days old.",
    "The last backup failed.",
    check_backup,
    Fix("Fix the reason, then make a backup.", command="proofdesk backup FILE"),
)
