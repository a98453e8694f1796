"""Workers: whether one is alive, whether one hangs, and whether they run with the settings of this process."""

from proofdesk import __version__
from proofdesk.dashboard import status
from proofdesk.jobs import worker_processes
from proofdesk.jobs.worker_process_queries import WorkerProcess
from proofdesk.runbooks import bundle_sources, fixes
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import Check, Fix, Observation, fail, ok, warn


async def check_alive(context: RunbookContext) -> Observation:
    """Check that a worker has a recent heartbeat."""
    worker = (await context.load_once(bundle_sources.load_jobs_status))["worker"]
    if worker.alive:
        return ok(f"{worker.workers} alive. Last heartbeat: {worker.last_heartbeat_at:%H:%M:%S} UTC.")
    if hung := [p for p in await _silent(context) if worker_processes.is_running(p.runner)]:
        return _hangs(hung[0])
    last = f"{worker.last_heartbeat_at:%Y-%m-%d %H:%M} UTC" if worker.last_heartbeat_at else "never"
    return fail(f"No worker is alive. Last heartbeat: {last}.")


async def check_hung(context: RunbookContext) -> Observation:
    """Check that no worker process exists that does not report."""
    silent = await _silent(context)
    if hung := [p for p in silent if worker_processes.is_here(p.runner) and worker_processes.is_running(p.runner)]:
        return _hangs(hung[0])
    if elsewhere := [p for p in silent if not worker_processes.is_here(p.runner)]:
        names = ", ".join(worker_processes.describe(p.runner) for p in elsewhere)
        return warn(f"No report for {elsewhere[0].silent_seconds:.0f} s from {names}. Look whether it hangs there.")
    return ok("Every worker process reports, or has ended.")


async def check_settings(context: RunbookContext) -> Observation:
    """Check that every worker has the version and the settings of this process."""
    own, reporting = worker_processes.fingerprints(context.settings), await _reporting(context)
    for process in reporting:
        name = worker_processes.describe(process.runner)
        if process.version != __version__:
            return fail(f"The {name} runs version {process.version}; this process runs {__version__}.")
        if other := [variable for variable, hashed in own.items() if process.fingerprints.get(variable) != hashed]:
            text = f"The {name} runs with another {', '.join(other)} than this process."
            return fail(text, f"A worker runs with another {other[0]} than this process.")
    return ok(f"{len(reporting)} worker processes have the version and the settings of this process.")


async def _silent(context: RunbookContext) -> list[WorkerProcess]:
    limit = status.worker_timeout(context.settings).total_seconds()
    return [p for p in await context.load_once(_load_processes) if p.silent_seconds > limit]


async def _reporting(context: RunbookContext) -> list[WorkerProcess]:
    limit = status.worker_timeout(context.settings).total_seconds()
    return [p for p in await context.load_once(_load_processes) if p.silent_seconds <= limit]


async def _load_processes(context: RunbookContext) -> list[WorkerProcess]:
    return await worker_processes.list_processes(context.resources.db)


def _hangs(process: WorkerProcess) -> Observation:
    name, number = worker_processes.describe(process.runner), process.runner.split(":")[1]
    text = f"The worker {name} exists, but has not reported for {process.silent_seconds:.0f} seconds: it hangs."
    end = Fix(
        f"End process {number}, then start a worker. Its runs continue there.",
        command=f"kill -9 {number}; {fixes.RESTART}",
        destructive=True,
    )
    return fail(text, text, end)


ALIVE = Check(
    "worker",
    "Worker",
    "A worker has sent a heartbeat within the last minutes.",
    "No worker is alive, so no job runs.",
    check_alive,
    fixes.WORKER,
    shared=True,
)
HUNG = Check(
    "hung-workers",
    "Hung workers",
    "Every worker process reports.",
    "A worker process exists, but does not report.",
    check_hung,
    Fix("End the process, then start a worker.", command="kill -9 PID", destructive=True),
    shared=True,
)
SETTINGS = Check(
    "worker-settings",
    "Settings of the workers",
    "Workers have the version and the settings of this process.",
    "A worker runs with another version or other settings than this process.",
    check_settings,
    Fix("Restart the server and the workers with the same configuration.", command=fixes.RESTART),
    shared=True,
)
