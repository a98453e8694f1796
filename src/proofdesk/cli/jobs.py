"""`sync`, `reconcile`, `embed`: run a job in this process. `tick`, `worker`: run jobs by schedule."""

import asyncio
import signal
from typing import Annotated, Any

import typer

from proofdesk.audit import events
from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption, ProjectOption
from proofdesk.cli.progress import progress
from proofdesk.errors import ProofdeskError
from proofdesk.jobs import catalog, in_process, worker
from proofdesk.jobs import tick as schedule
from proofdesk.jobs.resources import Resources
from proofdesk.jobs.run_queries import Run
from proofdesk.jobs.runs import MAX_WAIT_SECONDS
from proofdesk.jobs.tick import DEFAULT_DUE_JOBS, MAX_DUE_JOBS, TickSummary
from proofdesk.projects.scope import Scope


class JobFailed(ProofdeskError):
    """The run failed or was cancelled."""

    code = "job_failed"


@app.command()
def sync(project: ProjectOption = None, json: JsonOption = False) -> None:
    """Import what is new, changed or deleted in Chatwoot."""
    _run_and_print(catalog.SYNC.name, "Sync", project, json)


@app.command()
def reconcile(project: ProjectOption = None, json: JsonOption = False) -> None:
    """Read everything in Chatwoot again, repair differences, and count both sides."""
    _run_and_print(catalog.RECONCILE.name, "Reconcile", project, json)


@app.command()
def embed(
    project: ProjectOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of chunks. Default: all pending.")] = None,
    json: JsonOption = False,
) -> None:
    """Compute the embeddings of pending chunks, which semantic search needs."""
    _run_and_print(catalog.EMBED.name, "Embedding", project, json, {"limit": limit} if limit else {})


@app.command()
def tick(
    project: Annotated[
        str | None, typer.Option("--project", "-p", help="Name or id of the project. Default: all projects.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_DUE_JOBS, help="Maximum number of jobs.")] = DEFAULT_DUE_JOBS,
    wait: Annotated[
        float | None,
        typer.Option(min=0, max=MAX_WAIT_SECONDS, help="Seconds to wait for results. Default: JOB_WAIT_SECONDS."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Queue the jobs that are due, and wait until workers have run them."""

    async def command(resources: Resources) -> TickSummary:
        scope = None if project is None else await environment.enter_project(resources, project)
        started = await schedule.start_due(resources.db, resources.settings, limit, scope)
        timeout = resources.settings.job_wait_seconds if wait is None else wait
        with progress("Due jobs", shown=not json) as report:
            return await schedule.wait_for_results(resources.db, events.system_actor(), started, timeout, report)

    summary = environment.run_with_resources(command)
    if json:
        output.print_json(summary.as_dict())
    else:
        rows = [(d["project_id"], d["job_type"], d["run_id"], d["status"], d.get("error")) for d in summary.details]
        output.print_table(("Project", "Job", "Run", "Status", "Error"), rows)
    if summary.failed:
        raise typer.Exit(1)


@app.command("worker")
def run_worker(
    drain: Annotated[bool, typer.Option("--drain", help="Stop when the queue is empty.")] = False,
) -> None:
    """Run queued jobs and start due ones, until stopped."""

    async def command(resources: Resources) -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        await worker.run_worker(resources, drain=drain, stopping=stopping)

    environment.run_with_resources(command)


async def run_job(
    resources: Resources,
    scope: Scope,
    job_type: str,
    title: str,
    *,
    shown: bool = True,
    params: dict[str, Any] | None = None,
) -> Run:
    """Run a job in this process, or follow its active run. Raises `JobFailed`."""
    with progress(title, shown=shown) as report:
        finished = await in_process.execute(resources, scope, job_type, params, report)
    if finished.status != "ok":
        raise JobFailed(finished.error or f"The run was {finished.status}.", details=finished.error_details)
    return finished


def _run_and_print(
    job_type: str, title: str, project: str | None, json: bool, params: dict[str, Any] | None = None
) -> None:
    async def command(resources: Resources) -> Run:
        scope = await environment.enter_project(resources, project)
        return await run_job(resources, scope, job_type, title, shown=not json, params=params)

    finished = environment.run_with_resources(command)
    result = finished.meta["result"]
    if json:
        return output.print_json({"run_id": finished.id, "status": finished.status, "result": result})
    if "inboxes" in result:
        _print_comparison(result)
    counts = [
        (_label(key), value) for key, value in _flat(result) if isinstance(value, int | str) and key not in _SHOWN
    ]
    output.print_table(("Result", "Number"), counts)
    if quarantined := result.get("quarantine"):
        _print_quarantine(quarantined)
    return None


_SHOWN = ("complete", "agrees", "limited_role")
_MORE = "set CHATWOOT_API_TOKEN to the token of an administrator."
_COUNTS = ("conversations", "messages", "highest_conversation_id", "highest_message_id")


def _print_comparison(result: dict[str, Any]) -> None:
    rows = [
        (i["inbox_id"], side, *(i[key].get(name, 0) for name in _COUNTS), i["missing"], i["removed"])
        for i in result["inboxes"]
        for key, side in (("theirs", "Chatwoot"), ("ours", "Proofdesk"))
    ]
    counts = ("Conversations", "Messages", "Highest id", "Highest message id")
    output.print_table(("Inbox", "Side", *counts, "Missing", "Removed"), rows)
    output.print_line(_conclusion(result))


def _conclusion(result: dict[str, Any]) -> str:
    agrees = "both sides agree" if result["agrees"] else "the sides differ"
    if role := result["limited_role"]:
        return f"As far as this token can see, {agrees}. Its role is {role}, so Chatwoot may have more: {_MORE}"
    return f"Complete: {agrees}." if result["complete"] else f"NOT complete: {agrees}."


def _print_quarantine(items: list[dict[str, Any]]) -> None:
    output.print_line("\nThese items could not be stored. Each sync tries them again:", "bold")
    rows = [(i["entity"], i["entity_id"], i["conversation_id"], i["reason"], i["attempts"]) for i in items]
    output.print_table(("Item", "Id", "Conversation", "Reason", "Attempts"), rows)


def _flat(result: dict[str, Any]) -> list[tuple[str, Any]]:
    return [
        (f"{key} {inner}" if isinstance(value, dict) else key, number)
        for key, value in result.items()
        for inner, number in (value.items() if isinstance(value, dict) else [("", value)])
    ]


def _label(key: str) -> str:
    return key.replace("_", " ").strip().capitalize()
