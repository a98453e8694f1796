"""`project` and `source`: projects, their members, and their sources."""

from typing import Annotated

import typer

from proofdesk.audit import events
from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption, ProjectOption
from proofdesk.errors import Invalid
from proofdesk.jobs import new_projects
from proofdesk.jobs.resources import Resources
from proofdesk.projects import members, projects, roles, scope, sources
from proofdesk.projects.projects import MAX_NAME_LENGTH, MIN_NAME_LENGTH
from proofdesk.projects.queries import Member
from proofdesk.projects.scope import ProjectOwner
from proofdesk.projects.source_queries import Source

project_app = typer.Typer(help="Projects.", no_args_is_help=True)
member_app = typer.Typer(help="Members of a project. The owner may enter every project.", no_args_is_help=True)
source_app = typer.Typer(help="Sources: the Chatwoot accounts and inboxes of a project.", no_args_is_help=True)
app.add_typer(project_app, name="project")
project_app.add_typer(member_app, name="member")
app.add_typer(source_app, name="source")

Username = Annotated[str, typer.Argument(help="Username of the member.")]


@project_app.command("create")
def create_project(
    name: Annotated[str, typer.Argument(help=f"{MIN_NAME_LENGTH} to {MAX_NAME_LENGTH} characters.")],
    scope_key: Annotated[
        str | None, typer.Option(help="Key of the account scope. Default: the default account scope.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Create a project."""
    project = environment.run_with_resources(
        lambda resources: new_projects.create(resources.db, events.system_actor(), name, scope_key=scope_key)
    )
    if json:
        return output.print_json(vars(project))
    return output.print_line(f"Created project {project.name} ({project.id}).")


@project_app.command("list")
def list_projects(json: JsonOption = False) -> None:
    """List all projects."""
    rows = environment.run_with_resources(lambda resources: projects.list_visible(resources.db, events.system_actor()))
    if json:
        return output.print_json([vars(row) for row in rows])
    return output.print_table(("Name", "Id", "Created"), [(row.name, row.id, row.created_at) for row in rows])


@project_app.command("rename")
def rename_project(name: Annotated[str, typer.Argument(help="New name.")], project: ProjectOption = None) -> None:
    """Rename a project."""

    async def command(resources: Resources) -> str:
        return (await projects.rename(resources.db, await _owned_project(resources, project), name)).name

    output.print_line(f"Renamed the project to {environment.run_with_resources(command)}.")


@project_app.command("archive")
def archive_project(project: Annotated[str, typer.Argument(help="Name or id of the project.")]) -> None:
    """Archive a project. Nobody can enter it any more; its data stays; other projects can bind its sources."""

    async def command(resources: Resources) -> list[Source]:
        return await projects.archive(resources.db, await _owned_project(resources, project))

    released = ", ".join(source.external_id for source in environment.run_with_resources(command))
    note = f" Released sources: {released}." if released else ""
    output.print_line(f"Archived {project}. Its data stays.{note}")


@member_app.command("add")
def add_member(
    username: Username,
    role: Annotated[str, typer.Option(help=f"One of {', '.join(roles.ROLES)}.")] = "approver",
    project: ProjectOption = None,
) -> None:
    """Add a member to a project, or change their role."""

    async def command(resources: Resources) -> None:
        await members.add(resources.db, await _owned_project(resources, project), username, role)

    environment.run_with_resources(command)
    output.print_line(f"Added {username} to the project as {roles.describe(role)}.")


@member_app.command("remove")
def remove_member(username: Username, project: ProjectOption = None) -> None:
    """Remove a member from a project."""

    async def command(resources: Resources) -> None:
        await members.remove(resources.db, await _owned_project(resources, project), username)

    environment.run_with_resources(command)
    output.print_line(f"Removed {username} from the project.")


@member_app.command("list")
def list_members(project: ProjectOption = None, json: JsonOption = False) -> None:
    """List the members of a project."""

    async def command(resources: Resources) -> list[Member]:
        return await members.list_members(resources.db, await environment.enter_project(resources, project))

    rows = environment.run_with_resources(command)
    if json:
        return output.print_json([vars(row) for row in rows])
    return output.print_table(("Username", "Role", "Added"), [(row.username, row.role, row.added_at) for row in rows])


@source_app.command("bind")
def bind_source(
    external_id: Annotated[str, typer.Argument(help="ACCOUNT for a whole account, ACCOUNT:INBOX for one inbox.")],
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Bind a Chatwoot account or inbox to a project."""
    if not external_id.strip():
        raise Invalid("The account or inbox is empty. Use ACCOUNT or ACCOUNT:INBOX.")
    kind = "chatwoot_inbox" if ":" in external_id else "chatwoot_account"

    async def command(resources: Resources) -> Source:
        project_scope = await environment.enter_project(resources, project)
        return await sources.bind(resources.db, project_scope, kind, external_id)

    source = environment.run_with_resources(command)
    if json:
        return output.print_json(vars(source))
    return output.print_line(
        f"Bound {source.source_kind} {source.external_id}. Import its conversations: `proofdesk sync`."
    )


@source_app.command("unbind")
def unbind_source(
    external_id: Annotated[str, typer.Argument(help="ACCOUNT or ACCOUNT:INBOX, as `source list` shows it.")],
    project: ProjectOption = None,
) -> None:
    """Unbind a source. What was imported from it stays."""

    async def command(resources: Resources) -> Source:
        project_scope = await environment.enter_project(resources, project)
        source_id = await sources.find_source_id(resources.db, project_scope, external_id)
        return await sources.unbind(resources.db, project_scope, source_id)

    source = environment.run_with_resources(command)
    output.print_line(f"Unbound {source.external_id}. {sources.UNBOUND_NOTICE}")


@source_app.command("list")
def list_sources(project: ProjectOption = None, json: JsonOption = False) -> None:
    """List the sources of a project."""

    async def command(resources: Resources) -> list[Source]:
        return await sources.list_sources(resources.db, await environment.enter_project(resources, project))

    rows = environment.run_with_resources(command)
    if json:
        return output.print_json([vars(row) for row in rows])
    return output.print_table(
        ("Kind", "Id in Chatwoot", "Bound"), [(row.source_kind, row.external_id, row.created_at) for row in rows]
    )


async def _owned_project(resources: Resources, project: str | None) -> ProjectOwner:
    return await scope.require_owner(resources.db, await environment.enter_project(resources, project))
