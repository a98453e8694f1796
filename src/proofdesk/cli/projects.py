"""`project` and `source`: what there is, and what each reads."""

from typing import Annotated

import typer

from proofdesk.audit import trail
from proofdesk.cli import app, machine, output
from proofdesk.cli.output import AsJson, InProject
from proofdesk.errors import Invalid
from proofdesk.projects import projects, sources
from proofdesk.projects.queries import Source
from proofdesk.resources import Resources

project_app = typer.Typer(help="Projects.", no_args_is_help=True)
source_app = typer.Typer(help="The Chatwoot accounts and inboxes that a project reads.", no_args_is_help=True)
app.add_typer(project_app, name="project")
app.add_typer(source_app, name="source")


@project_app.command("create")
def create_project(
    name: str,
    scope_key: Annotated[str | None, typer.Option(help="Account scope; unset: the default one.")] = None,
    json: AsJson = False,
) -> None:
    """Make a project."""
    made = machine.run(lambda held: projects.create(held.db, trail.system(), name, scope_key=scope_key))
    if json:
        return output.as_json(vars(made))
    return output.say(f"Made project {made.name} ({made.id}).")


@project_app.command("list")
def list_projects(json: AsJson = False) -> None:
    """Show all projects."""
    found = machine.run(lambda held: projects.visible(held.db, trail.system()))
    if json:
        return output.as_json([vars(p) for p in found])
    return output.table(("Name", "Id", "Created"), [(p.name, p.id, p.created_at) for p in found])


@source_app.command("bind")
def bind_source(
    external_id: Annotated[str, typer.Argument(help="ACCOUNT for a whole account, ACCOUNT:INBOX for one inbox.")],
    project: InProject = None,
    json: AsJson = False,
) -> None:
    """Let a project read a Chatwoot account or inbox."""
    if not external_id.strip():
        raise Invalid("Say which account or inbox.")
    kind = "chatwoot_inbox" if ":" in external_id else "chatwoot_account"

    async def command(held: Resources) -> Source:
        return await sources.bind(held.db, await machine.entered(held, project), kind, external_id)

    bound = machine.run(command)
    if json:
        return output.as_json(vars(bound))
    return output.say(f"Bound {bound.source_kind} {bound.external_id}. `proofdesk sync` reads it.")


@source_app.command("list")
def list_sources(project: InProject = None, json: AsJson = False) -> None:
    """Show what a project reads."""

    async def command(held: Resources) -> list[Source]:
        return await sources.bound(held.db, await machine.entered(held, project))

    found = machine.run(command)
    if json:
        return output.as_json([vars(s) for s in found])
    return output.table(
        ("Kind", "Id in Chatwoot", "Bound"), [(s.source_kind, s.external_id, s.created_at) for s in found]
    )
