"""`incidents`: list and acknowledge incidents."""

from typing import Annotated
from uuid import UUID

import typer

from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption, ProjectOption
from proofdesk.core.paging import MAX_SHORT_LIMIT
from proofdesk.incidents import incidents
from proofdesk.incidents.queries import IncidentWithNotifications
from proofdesk.jobs.resources import Resources


@app.command("incidents")
def list_incidents(
    state: Annotated[str | None, typer.Option(help="open or closed. Default: both.")] = None,
    acknowledge: Annotated[
        UUID | None, typer.Option(metavar="ID", help="Acknowledge an incident: no more reminders are sent.")
    ] = None,
    actor: Annotated[str | None, typer.Option("--as", metavar="USER", help="Who acts. Default: the system.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MAX_SHORT_LIMIT, help="Maximum number.")] = 20,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """List incidents of a project and of the installation: the open ones first, then the newest."""
    if state not in (None, *incidents.STATES):
        raise typer.BadParameter(f"choose one of {', '.join(incidents.STATES)}.", param_hint="--state")

    async def command(resources: Resources) -> tuple[list[IncidentWithNotifications], int]:
        scope = await environment.enter_project(resources, project, actor)
        if acknowledge is not None:
            await incidents.acknowledge(resources.db, scope, acknowledge)
        return await incidents.list_incidents(resources.db, scope, state, limit, 0)

    page, total = environment.run_with_resources(command)
    if json:
        return output.print_json({"incidents": [vars(row) for row in page], "total": total})
    if not page:
        return output.print_line("No incidents.")
    for row in page:
        _print(row)
    return None


def _print(incident: IncidentWithNotifications) -> None:
    is_open = incident.state == "open"
    where = "whole installation" if incident.shared else "this project"
    ended = f" to {incident.closed_at:%Y-%m-%d %H:%M}" if incident.closed_at else ""
    output.print_line(f"{incident.state}: {incident.cause}", "bold red" if is_open else "green")
    output.print_line(f"  {where}, from {incident.opened_at:%Y-%m-%d %H:%M}{ended} UTC. Id: {incident.id}", "dim")
    if is_open:
        command = incident.fix.get("command")
        output.print_line(f"  → {incident.fix['label']}" + (f" ({command})" if command else ""))
        output.print_line(f"  → proofdesk doctor {incident.runbook}", "dim")
    if incident.acknowledged_by:
        output.print_line(f"  Acknowledged by {incident.acknowledged_by}.", "dim")
