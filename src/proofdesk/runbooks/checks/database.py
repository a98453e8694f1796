"""Database and disk: checks the connection, the schema, whether the database can be written, its space, its locks."""

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from proofdesk.dashboard import status
from proofdesk.runbooks import database_probe, fixes
from proofdesk.runbooks.checks import backups
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.database_queries import DatabaseFacts, terminate_command
from proofdesk.runbooks.findings import Check, EvidenceSection, Fix, Observation, Runbook, fail, ok, skip, warn

SLUG = "database-and-disk"
_MB, _GB = 1024**2, 1024**3
_LOW, _LOW_SHARE = 256 * _MB, 0.05  # the smaller of both is what PostgreSQL needs to go on
_SHORT, _SHORT_SHARE = 5 * _GB, 0.1
_BUSY_SHARE = 0.9
_BUDGET_PERCENT = 85
_WAIT_SECONDS = 5.0
_UNREACHED = "The database cannot be reached."


async def check_usable(context: RunbookContext) -> Observation:
    """Check that the database can be read and written. Strangers are not told why not."""
    state = await context.load_once(database_probe.probe_database)
    is_stranger = context.request is not None and context.request.session_state != "active"
    if state.problem is None:
        observed = "The database can be read and written."
        return ok(observed if is_stranger else f"{observed} {await _describe_connection(context)}")
    if is_stranger:
        return fail("The database cannot be used.")
    return fail(state.message, _CAUSES[state.problem])


async def _describe_connection(context: RunbookContext) -> str:
    async with context.resources.db.statement() as conn:
        return conn.describe()


def _check_state(problem: str, observed: Callable[[DatabaseFacts], str]) -> Callable[..., Awaitable[Observation]]:
    """Return a check that fails if the probe found this problem. `observed` describes the healthy state."""

    async def check(context: RunbookContext) -> Observation:
        state = await context.load_once(database_probe.probe_database)
        if state.problem == problem:
            return fail(state.message, f"{_CAUSES[problem]} {state.message}")
        if state.facts is None or (state.closed is not None and problem in _LATER):
            return skip(_UNREACHED if state.facts is None else "An earlier check failed.")
        return ok(observed(state.facts))

    return check


async def check_connections(context: RunbookContext) -> Observation:
    """Check that connections are left."""
    state = await context.load_once(database_probe.probe_database)
    if state.problem == "connections":
        return fail(state.message)
    if state.facts is None:
        return skip(_UNREACHED)
    used = f"{state.facts.connections} of {state.facts.max_connections} connections are used."
    return warn(used) if state.facts.connections >= _BUSY_SHARE * state.facts.max_connections else ok(used)


async def check_default(context: RunbookContext) -> Observation:
    """Check that new sessions are not read-only by default. Providers set this when a disk is nearly full."""
    state = await context.load_once(database_probe.probe_database)
    if state.facts is None:
        return skip(_UNREACHED)
    if state.facts.read_only_by_default and not state.facts.is_standby:
        return fail("default_transaction_read_only is on. Proofdesk overrides it, backups and other tools cannot.")
    return ok("default_transaction_read_only is off.")


async def check_disk(context: RunbookContext) -> Observation:
    """Check the free space of the disk of the database, if the server is on this machine."""
    state = await context.load_once(database_probe.probe_database)
    folder = Path(state.facts.folder) if state.facts and state.facts.folder else context.settings.proofdesk_home
    if state.facts is not None and not (state.facts.is_local and state.facts.folder):
        return skip("The server of the database is elsewhere, or hides its folder. Check its disk there.")
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return skip(f"The disk of {folder} cannot be read: {error.strerror}.")
    observed = f"{usage.free / _GB:.1f} of {usage.total / _GB:.1f} GB are free at {folder}."
    if usage.free < min(_LOW, _LOW_SHARE * usage.total):
        return fail(observed)
    return warn(observed) if usage.free < min(_SHORT, _SHORT_SHARE * usage.total) else ok(observed)


async def check_budget(context: RunbookContext) -> Observation:
    """Check that the database is smaller than STORAGE_BUDGET_GB."""
    state = await context.load_once(database_probe.probe_database)
    if state.facts is None:
        return skip(_UNREACHED)
    settings = context.settings
    percent = state.facts.bytes / (settings.storage_budget_gb * _GB) * 100
    observed = f"The database uses {percent:.0f} % of STORAGE_BUDGET_GB={settings.storage_budget_gb:g}."
    if percent >= 100:
        return fail(observed)
    return warn(observed) if percent >= _BUDGET_PERCENT else ok(observed)


async def check_locks(context: RunbookContext) -> Observation:
    """Check that no session makes others wait."""
    state = await context.load_once(database_probe.probe_database)
    if state.facts is None:
        return skip(_UNREACHED)
    blockers = [blocker for blocker in state.blockers if blocker.seconds >= _WAIT_SECONDS]
    if not blockers:
        return ok("No session has waited for a lock for long.")
    first = blockers[0]
    observed = "; ".join(
        f"session {b.pid} ({b.program}, {b.state}) has made {b.waiting} others wait for {b.seconds:.0f} s"
        for b in blockers
    )
    fix = Fix(
        f"End session {first.pid}. What it has not committed is lost.",
        command=terminate_command(first.pid),
        destructive=True,
    )
    return fail(f"{observed[:1].upper()}{observed[1:]}.", f"Session {first.pid} of the database blocks others.", fix)


async def collect_facts(context: RunbookContext) -> Any:
    """Return facts about the server, its connections and its locks."""
    state = await context.load_once(database_probe.probe_database)
    return {"problem": state.problem, "reason": state.message, "facts": state.facts, "blockers": state.blockers}


async def collect_sizes(context: RunbookContext) -> Any:
    """Return the sizes of the database and its tables."""
    return (await status.read_status(context.resources.db, context.required_scope, context.settings))["storage"]


_LATER = ("session", "space", "read-only")
_CAUSES = {
    "absent": "The configuration names no existing database.",
    "connection": "The database cannot be reached.",
    "password": "The database rejects the user or the password of DATABASE_URL.",
    "name": "The database that DATABASE_URL names does not exist.",
    "connections": "The database has no free connection.",
    "starting": "The database server is starting or stopping.",
    "schema": "The database does not have every migration of this version.",
    "session": "The database does not give Proofdesk the session that it needs.",
    "read-only": "The database is read-only.",
    "space": "The disk of the database is full.",
}
_URL = fixes.set_variable("DATABASE_URL", "to the address, user and password of the database")

USABLE = Check(
    "database",
    "Database",
    "The database can be read and written, and has every migration.",
    "The database cannot be used.",
    check_usable,
    fixes.see(SLUG),
    shared=True,
)
"""The first check of every other runbook."""

RUNBOOK = Runbook(
    slug=SLUG,
    title="Database and disk",
    symptom="Pages respond 503, jobs report the database or a full disk, or nothing can be saved.",
    impact="Nothing works, or nothing new is stored.",
    checks=(
        Check(
            "absent",
            "Configuration",
            "The configuration names a database that exists.",
            _CAUSES["absent"],
            _check_state("absent", lambda f: f"The configuration names the database {f.name}."),
            Fix("Load the configuration of the installation. If there is none yet, start it with `proofdesk up`.",
                command=f"set -a; . {fixes.ENVIRONMENT_FILE}; proofdesk doctor"),
        ),
        Check(
            "connection",
            "Connection",
            "The server of DATABASE_URL responds.",
            _CAUSES["connection"],
            _check_state("connection", lambda f: f"PostgreSQL {f.version} responds; the database is {f.name}."),
            Fix("Start the database server; check the host and port of DATABASE_URL, and the firewall.",
                command="systemctl status postgresql"),
        ),
        Check(
            "starting",
            "Server state",
            "The server accepts connections.",
            _CAUSES["starting"],
            _check_state("starting", lambda _: "The server accepts connections."),
            Fix("Wait a minute. If it continues, read the log of the server.", command="journalctl -u postgresql"),
        ),
        Check(
            "password",
            "User and password",
            "The server accepts the user and the password.",
            _CAUSES["password"],
            _check_state("password", lambda _: "The server accepts the user."),
            _URL,
        ),
        Check(
            "name",
            "Name",
            "The database exists.",
            _CAUSES["name"],
            _check_state("name", lambda f: f"The database {f.name} exists."),
            Fix("Correct the name in DATABASE_URL, or create the database.", command="createdb proofdesk"),
        ),
        Check(
            "connections",
            "Connections",
            "Less than 90 % of max_connections are used.",
            _CAUSES["connections"],
            check_connections,
            Fix("Raise max_connections, or lower DATABASE_POOL_SIZE and the number of processes, then restart.",
                command='psql "$DATABASE_URL" -c "ALTER SYSTEM SET max_connections = 200"'),
        ),
        Check(
            "schema",
            "Migrations",
            "The database has every migration of this version.",
            _CAUSES["schema"],
            _check_state("schema", lambda _: "The database has every migration."),
            fixes.MIGRATE,
        ),
        Check(
            "session",
            "Sessions",
            "Sessions have the application role, which is bound by row-level security.",
            _CAUSES["session"],
            _check_state("session", lambda _: "Sessions have the application role."),
            Fix("Connect to PostgreSQL directly or through a pooler in session mode, and run the statement that the"
                " check names as an administrator.", command="proofdesk migrate"),
        ),
        Check(
            "read-only",
            "Writing",
            "The database accepts writes.",
            _CAUSES["read-only"],
            _check_state("read-only", lambda _: "The database accepts writes."),
            fixes.set_variable("DATABASE_URL", "to the primary server, which accepts writes"),
        ),
        Check(
            "default-read-only",
            "Default of new sessions",
            "default_transaction_read_only is off.",
            "default_transaction_read_only is on, which providers set when a disk is nearly full.",
            check_default,
            Fix("Free space if the disk is full, then set it off.",
                command='psql "$DATABASE_URL" -c "ALTER DATABASE proofdesk RESET default_transaction_read_only"'),
        ),
        Check(
            "space",
            "Space in the database",
            "The server can write a megabyte.",
            _CAUSES["space"],
            _check_state("space", lambda _: "The server can write a megabyte."),
            Fix("Free space on the disk of the database server, or enlarge it.", command="df -h"),
        ),
        Check(
            "disk",
            "Disk",
            "More than 5 % or 256 MB are free.",
            "The disk of the database is almost full.",
            check_disk,
            Fix("Free space on the disk, or move PROOFDESK_HOME to a larger one.", command="df -h"),
        ),
        Check(
            "budget",
            "Storage budget",
            "The database is smaller than STORAGE_BUDGET_GB.",
            "The database is larger than STORAGE_BUDGET_GB.",
            check_budget,
            fixes.set_variable("STORAGE_BUDGET_GB", "to a larger budget, or delete projects that nobody needs"),
        ),
        Check(
            "locks",
            "Locks",
            "No session makes others wait for a lock for more than 5 seconds.",
            "A session of the database blocks others.",
            check_locks,
            Fix("End the session that blocks others.", command=terminate_command("PID"), destructive=True),
        ),
        backups.BACKUP,
    ),
    evidence=(
        EvidenceSection("Server, connections and locks", collect_facts),
        EvidenceSection("Sizes of tables", collect_sizes),
    ),
    variables=(
        "DATABASE_URL", "PROOFDESK_HOME", "DATABASE_POOL_SIZE", "WEB_PROCESSES", "WORKER_CONCURRENCY",
        "STORAGE_BUDGET_GB",
    ),
    per_project=False,
)  # fmt: skip
