"""`sync`, `reconcile`, `embed`: carry a job out here and now. `tick` and `worker`: by schedule."""

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
from proofdesk.projects.scope import Scope


class JobFailed(ProofdeskError):
    """The run ended as failed or cancelled."""

    code = "job_failed"


@app.command()
def sync(project: ProjectOption = None, json: JsonOption = False) -> None:
    """Read Chatwoot into the project: what is new, what changed, what was deleted."""
    _carry_out(catalog.SYNC.name, "Sync", project, json)


@app.command()
def reconcile(project: ProjectOption = None, json: JsonOption = False) -> None:
    """Walk everything in Chatwoot, repair what differs, and prove that nothing is missing."""
    _carry_out(catalog.RECONCILE.name, "Comparing with Chatwoot", project, json)


@app.command()
def embed(
    project: ProjectOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many chunks; unset: all that wait.")] = None,
    json: JsonOption = False,
) -> None:
    """Make vectors of what waits for one, so that search finds by meaning."""
    _carry_out(catalog.EMBED.name, "Embedding", project, json, {"limit": limit} if limit else {})


@app.command()
def tick(
    project: Annotated[str | None, typer.Option("--project", "-p", help="Name or id; unset: all projects.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many due jobs.")] = 10,
    wait: Annotated[
        float | None, typer.Option(min=0, max=600, help="Seconds to wait for results; unset: JOB_WAIT_SECONDS.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Start what is due, for the workers to carry out, and wait for the results."""

    async def command(held: Resources) -> schedule.TickSummary:
        inside = None if project is None else await environment.enter_project(held, project)
        started = await schedule.start_due(held.db, held.settings, limit, inside)
        patience = held.settings.job_wait_seconds if wait is None else wait
        with progress("Due jobs", shown=not json) as report:
            return await schedule.wait_for_results(held.db, events.system_actor(), started, patience, report)

    result = environment.run_with_resources(command)
    if json:
        output.print_json(result.as_dict())
    else:
        told = [(d["project_id"], d["job_type"], d["run_id"], d["status"], d.get("error")) for d in result.details]
        output.print_table(("Project", "Job", "Run", "Status", "Error"), told)
    if result.failed:
        raise typer.Exit(1)


@app.command("worker")
def run_worker(
    drain: Annotated[bool, typer.Option("--drain", help="Stop when the queue is empty.")] = False,
) -> None:
    """Carry out queued jobs and look at the schedule, until stopped."""

    async def command(held: Resources) -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        await worker.run_worker(held, drain=drain, stopping=stopping)

    environment.run_with_resources(command)


async def here(
    held: Resources,
    inside: Scope,
    job_type: str,
    title: str,
    *,
    shown: bool = True,
    params: dict[str, Any] | None = None,
) -> Run:
    """Carry a job out in this process, or watch the run that is under way. Raises `JobFailed`."""
    with progress(title, shown=shown) as report:
        ended = await in_process.execute(held, inside, job_type, params, report)
    if ended.status != "ok":
        raise JobFailed(ended.error or f"The run was {ended.status}.", details=ended.error_details)
    return ended


def _carry_out(
    job_type: str, title: str, project: str | None, json: bool, params: dict[str, Any] | None = None
) -> None:
    async def command(held: Resources) -> Run:
        inside = await environment.enter_project(held, project)
        return await here(held, inside, job_type, title, shown=not json, params=params)

    ended = environment.run_with_resources(command)
    result = ended.meta["result"]
    if json:
        return output.print_json({"run_id": ended.id, "status": ended.status, "result": result})
    if "inboxes" in result:
        _show_proof(result)
    output.print_table(
        ("What", "Number"), [(_words(k), v) for k, v in _flat(result) if isinstance(v, int | str) and k != "complete"]
    )
    if waiting := result.get("quarantine"):
        output.print_line("\nThese could not be stored; each sync tries again:", "bold")
        rows = [(w["entity"], w["entity_id"], w["conversation_id"], w["reason"], w["attempts"]) for w in waiting]
        output.print_table(("What", "Id", "Conversation", "Why", "Tries"), rows)
    return None


def _show_proof(result: dict[str, Any]) -> None:
    sides = [
        (i["inbox_id"], side, *(i[key].get(name, 0) for name in _PROOF), i["missing"], i["removed"])
        for i in result["inboxes"]
        for key, side in (("theirs", "Chatwoot"), ("ours", "Proofdesk"))
    ]
    output.print_table(("Inbox", "Side", "Conversations", "Messages", "Highest", "Highest message", "Missing", "Gone"), sides)
    output.print_line("Complete: both sides agree." if result["complete"] else "NOT complete: the sides differ.")


_PROOF = ("conversations", "messages", "highest_conversation_id", "highest_message_id")


def _flat(result: dict[str, Any]) -> list[tuple[str, Any]]:
    return [
        (f"{key} {inner}" if isinstance(value, dict) else key, number)
        for key, value in result.items()
        for inner, number in (value.items() if isinstance(value, dict) else [("", value)])
    ]


def _words(key: str) -> str:
    return key.replace("_", " ").strip().capitalize()
