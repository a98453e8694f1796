"""`kill-switch`: stop all sending, and allow it again."""

from typing import Annotated

import typer

from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption, ProjectOption
from proofdesk.jobs.resources import Resources
from proofdesk.outbound import kill_switch
from proofdesk.outbound.kill_switch_queries import ActiveKillSwitch

kill_switch_app = typer.Typer(help="Stop all sending, and allow it again.", no_args_is_help=True)
app.add_typer(kill_switch_app, name="kill-switch")

ActorOption = Annotated[str | None, typer.Option("--as", metavar="USER", help="Who acts. Default: the system.")]
AllOption = Annotated[bool, typer.Option("--all-projects", help="In every project, not only in one.")]


@kill_switch_app.command("on")
def switch_on(
    reason: Annotated[str, typer.Option(help="Why sending stops. People see it.")],
    all_projects: AllOption = False,
    actor: ActorOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Stop all sending within two seconds. Messages keep their approval."""
    _switch(True, reason, all_projects, actor, project, json)


@kill_switch_app.command("off")
def switch_off(
    reason: Annotated[str | None, typer.Option(help="Why sending is allowed again.")] = None,
    all_projects: AllOption = False,
    actor: ActorOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Allow sending again."""
    _switch(False, reason, all_projects, actor, project, json)


def _switch(
    on: bool, reason: str | None, all_projects: bool, actor: str | None, project: str | None, json: bool
) -> None:
    async def command(resources: Resources) -> ActiveKillSwitch | None:
        scope = await environment.enter_project(resources, project, actor)
        return await kill_switch.switch(resources.db, scope, on, reason, all_projects=all_projects)

    active = environment.run_with_resources(command)
    if json:
        return output.print_json({"kill_switch": {"on": active is not None} | (vars(active) if active else {})})
    return output.print_line(kill_switch.describe(active) if active else "Sending is on.")
