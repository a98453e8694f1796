"""`project` and `source`: what there is, who may enter it, and what it reads."""

from typing import Annotated

import typer

from proofdesk.audit import events
from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption, ProjectOption
from proofdesk.errors import Invalid
from proofdesk.jobs import new_projects
from proofdesk.jobs.resources import Resources
from proofdesk.projects import members, projects, scope, sources
from proofdesk.projects.queries import Member
from proofdesk.projects.scope import ProjectOwner
from proofdesk.projects.source_queries import Source

project_app = typer.Typer(help="Projects.", no_args_is_help=True)
member_app = typer.Typer(help="Who may enter a project, besides the owner.", no_args_is_help=True)
source_app = typer.Typer(help="The Chatwoot accounts and inboxes that a project reads.", no_args_is_help=True)
app.add_typer(project_app, name="project")
project_app.add_typer(member_app, name="member")
app.add_typer(source_app, name="source")


@project_app.command("create")
def create_project(
    name: str,
    scope_key: Annotated[str | None, typer.Option(help="Account scope; unset: the default one.")] = None,
    json: JsonOption = False,
) -> None:
    """Make a project."""
    made = environment.run_with_resources(lambda held: new_projects.create(held.db, events.system_actor(), name, scope_key=scope_key))
    if json:
        return output.print_json(vars(made))
    return output.print_line(f"Made project {made.name} ({made.id}).")


@project_app.command("list")
def list_projects(json: JsonOption = False) -> None:
    """Show all projects."""
    found = environment.run_with_resources(lambda held: projects.list_visible(held.db, events.system_actor()))
    if json:
        return output.print_json([vars(p) for p in found])
    return output.print_table(("Name", "Id", "Created"), [(p.name, p.id, p.created_at) for p in found])


@project_app.command("rename")
def rename_project(name: Annotated[str, typer.Argument(help="The new name.")], project: ProjectOption = None) -> None:
    """Give a project another name."""

    async def command(held: Resources) -> str:
        return (await projects.rename(held.db, await _kept(held, project), name)).name

    output.print_line(f"The project is called {environment.run_with_resources(command)}.")


@project_app.command("archive")
def archive_project(project: Annotated[str, typer.Argument(help="Name or id.")]) -> None:
    """Put a project away: nobody enters it any more, its data stays, its sources are free for other projects."""

    async def command(held: Resources) -> list[Source]:
        return await projects.archive(held.db, await _kept(held, project))

    freed = ", ".join(s.external_id for s in environment.run_with_resources(command))
    output.print_line(f"Archived {project}. Its data stays." + (f" Free for other projects: {freed}." if freed else ""))


@member_app.command("add")
def add_member(username: str, project: ProjectOption = None) -> None:
    """Let somebody into a project."""

    async def command(held: Resources) -> None:
        await members.add(held.db, await _kept(held, project), username)

    environment.run_with_resources(command)
    output.print_line(f"{username} may enter the project.")


@member_app.command("remove")
def remove_member(username: str, project: ProjectOption = None) -> None:
    """Let a member go."""

    async def command(held: Resources) -> None:
        await members.remove(held.db, await _kept(held, project), username)

    environment.run_with_resources(command)
    output.print_line(f"{username} may not enter the project any more.")


@member_app.command("list")
def list_members(project: ProjectOption = None, json: JsonOption = False) -> None:
    """Show who may enter a project."""

    async def command(held: Resources) -> list[Member]:
        return await members.list_members(held.db, await environment.enter_project(held, project))

    found = environment.run_with_resources(command)
    if json:
        return output.print_json([vars(m) for m in found])
    return output.print_table(("Username", "Role", "Added"), [(m.username, m.role, m.added_at) for m in found])


@source_app.command("bind")
def bind_source(
    external_id: Annotated[str, typer.Argument(help="ACCOUNT for a whole account, ACCOUNT:INBOX for one inbox.")],
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Let a project read a Chatwoot account or inbox."""
    if not external_id.strip():
        raise Invalid("Say which account or inbox.")
    kind = "chatwoot_inbox" if ":" in external_id else "chatwoot_account"

    async def command(held: Resources) -> Source:
        return await sources.bind(held.db, await environment.enter_project(held, project), kind, external_id)

    bound = environment.run_with_resources(command)
    if json:
        return output.print_json(vars(bound))
    return output.print_line(f"Bound {bound.source_kind} {bound.external_id}. `proofdesk sync` reads it.")


@source_app.command("unbind")
def unbind_source(
    external_id: Annotated[str, typer.Argument(help="ACCOUNT or ACCOUNT:INBOX, as `source list` shows it.")],
    project: ProjectOption = None,
) -> None:
    """Stop reading a source. What was imported from it stays."""

    async def command(held: Resources) -> Source:
        inside = await environment.enter_project(held, project)
        return await sources.unbind(held.db, inside, await sources.find_source_id(held.db, inside, external_id))

    output.print_line(f"Unbound {environment.run_with_resources(command).external_id}. {sources.UNBOUND_NOTICE}")


@source_app.command("list")
def list_sources(project: ProjectOption = None, json: JsonOption = False) -> None:
    """Show what a project reads."""

    async def command(held: Resources) -> list[Source]:
        return await sources.list_sources(held.db, await environment.enter_project(held, project))

    found = environment.run_with_resources(command)
    if json:
        return output.print_json([vars(s) for s in found])
    return output.print_table(
        ("Kind", "Id in Chatwoot", "Bound"), [(s.source_kind, s.external_id, s.created_at) for s in found]
    )


async def _kept(held: Resources, project: str | None) -> ProjectOwner:
    return await scope.require_owner(held.db, await environment.enter_project(held, project))
