"""JSON: projects, their members and their sources."""

from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from proofdesk.accounts import sessions
from proofdesk.http.dependencies import CurrentSession, Db, NamedProject, OwnedProject, actor
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.parameters import UuidText, json_schema
from proofdesk.http.responses import JsonEnvelope, success
from proofdesk.http.schemas import row_schema, schema, to_answer
from proofdesk.jobs import new_projects
from proofdesk.projects import members, projects, sources
from proofdesk.projects.projects import MAX_NAME_LENGTH, MIN_NAME_LENGTH
from proofdesk.projects.queries import Member, Project
from proofdesk.projects.source_queries import Source

router = APIRouter(prefix="/v1/projects", tags=["projects"], route_class=JsonRoute)

_NAME = json_schema(type="string", minLength=MIN_NAME_LENGTH, maxLength=MAX_NAME_LENGTH)


class NewProjectBody(JsonBody):
    """A new project."""

    name: str | None = Field(None, json_schema_extra=_NAME)
    account_scope_key: str | None = Field(None, description="Projects of one customer share a key.")
    account_scope_name: str | None = None


class ProjectNameBody(JsonBody):
    """A new name for a project."""

    name: str | None = Field(None, json_schema_extra=_NAME)


class MemberBody(JsonBody):
    """The role of a member. Absent: a new member is an approver (`member`), another keeps their role."""

    role: Literal["viewer", "editor", "approver", "manager", "member"] | None = None


class SourceBody(JsonBody):
    """A Chatwoot account or inbox to bind."""

    source_kind: str = Field(json_schema_extra=json_schema(enum=list(sources.KINDS)))
    external_id: str = Field(
        description="`<account>` or `<account>:<inbox>`.",
        json_schema_extra=json_schema(pattern="^[1-9][0-9]{0,17}(:[1-9][0-9]{0,17})?$"),
    )


class SourceSchema(row_schema(Source, omit=("account_id", "inbox_id"))):
    """A source: a Chatwoot account or inbox that is bound to a project."""


@router.get(
    "",
    summary="List projects",
    response_model=schema(
        "Projects", projects=list[Project], active_project_id=UUID | None, account_scope_id=UUID | None
    ),
)
async def list_projects(request: Request, db: Db, session: CurrentSession) -> JsonEnvelope:
    """The projects that you may enter, the oldest first, and the active one."""
    visible = await projects.list_visible(db, actor(request, session))
    active = next((p for p in visible if p.id == session.active_project_id), None)
    return success(
        projects=visible,
        active_project_id=active and active.id,
        account_scope_id=active and active.account_scope_id,
    )


@router.post("", summary="Create a project", response_model=schema("ProjectCreated", project=Project))
async def create_project(request: Request, db: Db, session: CurrentSession, body: NewProjectBody) -> JsonEnvelope:
    """You become its manager."""
    project = await new_projects.create(
        db,
        actor(request, session),
        body.name or "",
        scope_key=body.account_scope_key,
        scope_name=body.account_scope_name,
    )
    return success(project=project)


@router.post(
    "/{project_id}/select",
    summary="Select a project",
    response_model=schema("ProjectSelected", active_project_id=UUID, project=Project),
)
async def select_project(db: Db, session: CurrentSession, scope: NamedProject) -> JsonEnvelope:
    """Makes it the active project of this session and of your next sign-in."""
    await sessions.select_project(db, session, scope, scope.actor.request_id)
    visible = await projects.list_visible(db, scope.actor)
    project = next((p for p in visible if p.id == scope.project_id), None)
    return success(active_project_id=scope.project_id, project=project)


@router.patch("/{project_id}", summary="Rename a project", response_model=schema("ProjectRenamed", project=Project))
async def rename_project(db: Db, owned: OwnedProject, body: ProjectNameBody) -> JsonEnvelope:
    """Allowed for the owner and for managers."""
    return success(project=await projects.rename(db, owned, body.name or ""))


@router.post(
    "/{project_id}/archive",
    summary="Archive a project",
    response_model=schema("ProjectArchived", released_sources=list[str], message=str),
)
async def archive_project(db: Db, owned: OwnedProject) -> JsonEnvelope:
    """Nobody can enter it any more. Its data stays, and other projects can bind its sources."""
    released = await projects.archive(db, owned)
    message = "The project is archived. Its data stays. Other projects can bind its sources."
    return success(released_sources=[source.external_id for source in released], message=message)


@router.get(
    "/{project_id}/members",
    summary="List members",
    tags=["members"],
    response_model=schema("Members", members=list[Member]),
)
async def list_members(db: Db, scope: NamedProject) -> JsonEnvelope:
    """In the order in which they were added. The owner may enter every project and is not listed for that."""
    return success(members=await members.list_members(db, scope))


@router.put(
    "/{project_id}/members/{username}",
    summary="Add a member or change their role",
    tags=["members"],
    response_model=schema("MemberAdded", members=list[Member]),
)
async def add_member(db: Db, owned: OwnedProject, username: str, body: MemberBody) -> JsonEnvelope:
    """Allowed for the owner and for managers. `member` is the name of the approver in earlier clients."""
    await members.add(db, owned, username, body.role)
    return success(members=await members.list_members(db, owned))


@router.delete(
    "/{project_id}/members/{username}",
    summary="Remove a member",
    tags=["members"],
    response_model=schema("MemberRemoved", members=list[Member]),
)
async def remove_member(db: Db, owned: OwnedProject, username: str) -> JsonEnvelope:
    """They can no longer see or enter the project."""
    await members.remove(db, owned, username)
    return success(members=await members.list_members(db, owned))


@router.get(
    "/{project_id}/sources",
    summary="List sources",
    tags=["sources"],
    response_model=schema("Sources", sources=list[SourceSchema]),
)
async def list_sources(db: Db, scope: NamedProject) -> JsonEnvelope:
    """The sources of a project, the oldest first."""
    return success(sources=[to_answer(SourceSchema, source) for source in await sources.list_sources(db, scope)])


@router.post(
    "/{project_id}/sources",
    summary="Bind a source",
    tags=["sources"],
    status_code=201,
    response_model=schema("SourceBound", source=SourceSchema),
)
async def bind_source(db: Db, scope: NamedProject, body: SourceBody) -> JsonEnvelope:
    """For managers whom the owner allows to bind. A Chatwoot account or inbox belongs to at most one project."""
    source = await sources.bind(db, scope, body.source_kind, body.external_id)
    return success(201, source=to_answer(SourceSchema, source))


@router.delete(
    "/{project_id}/sources/{source_id}",
    summary="Unbind a source",
    tags=["sources"],
    response_model=schema("SourceUnbound", source=SourceSchema, message=str),
)
async def unbind_source(db: Db, scope: NamedProject, source_id: UuidText) -> JsonEnvelope:
    """For managers. Ends the import. What was imported stays."""
    parsed_id = projects.parse_id(source_id)
    if parsed_id is None:
        raise sources.SourceNotFound("This project has no such source.")
    source = await sources.unbind(db, scope, parsed_id)
    return success(source=to_answer(SourceSchema, source), message=sources.UNBOUND_NOTICE)
