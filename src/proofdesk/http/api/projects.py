"""JSON: projects, who may enter them, and what they read."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from proofdesk.accounts import sessions
from proofdesk.http import dependencies as asking
from proofdesk.http.dependencies import CurrentSession, Db, NamedProject, OwnedProject
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.parameters import UuidText, json_schema
from proofdesk.http.responses import Envelope, success
from proofdesk.http.schemas import schema
from proofdesk.projects import members, projects, sources
from proofdesk.projects.queries import Member, Project
from proofdesk.projects.source_queries import Source

router = APIRouter(prefix="/v1/projects", tags=["projects"], route_class=JsonRoute)


class NewProject(JsonBody):
    """A project to make."""

    name: str | None = Field(None, json_schema_extra=json_schema(type="string", minLength=2, maxLength=160))
    account_scope_key: str | None = Field(None, description="Projects of one customer share a key.")
    account_scope_name: str | None = None


class NewName(JsonBody):
    """Another name for a project."""

    name: str | None = Field(None, json_schema_extra=json_schema(type="string", minLength=2, maxLength=160))


class NewMember(JsonBody):
    """What somebody is in a project."""

    role: Literal["member"] = "member"


class NewSource(JsonBody):
    """A Chatwoot account or inbox to read."""

    source_kind: str = Field(json_schema_extra=json_schema(enum=list(sources.KINDS)))
    external_id: str = Field(
        description="`<account>` or `<account>:<inbox>`.",
        json_schema_extra=json_schema(pattern="^[1-9][0-9]{0,17}(:[1-9][0-9]{0,17})?$"),
    )


class SourceShape(BaseModel):
    """A source."""

    id: UUID
    source_kind: str
    external_id: str
    created_at: datetime


@router.get(
    "",
    summary="Projects you may enter",
    response_model=schema(
        "Projects", projects=list[Project], active_project_id=UUID | None, account_scope_id=UUID | None
    ),
)
async def list_projects(request: Request, db: Db, session: CurrentSession) -> Envelope:
    """Oldest first, and which one is active."""
    visible = await projects.list_visible(db, asking.actor(request, session))
    active = next((p for p in visible if p.id == session.active_project_id), None)
    return success(
        projects=visible,
        active_project_id=active and active.id,
        account_scope_id=active and active.account_scope_id,
    )


@router.post("", summary="Make a project", response_model=schema("NewProjectMade", project=Project))
async def create_project(request: Request, db: Db, session: CurrentSession, given: NewProject) -> Envelope:
    """Who makes it becomes its member."""
    project = await projects.create(
        db,
        asking.actor(request, session),
        given.name or "",
        scope_key=given.account_scope_key,
        scope_name=given.account_scope_name,
    )
    return success(project=project)


@router.post(
    "/{project_id}/select",
    summary="Work in a project",
    response_model=schema("ProjectSelected", active_project_id=UUID, project=Project),
)
async def select_project(request: Request, db: Db, session: CurrentSession, inside: NamedProject) -> Envelope:
    """Makes it the active project of this session, and of the next login."""
    await sessions.work_in(db, session, inside, inside.actor.request_id)
    visible = await projects.list_visible(db, inside.actor)
    project = next((p for p in visible if p.id == inside.project_id), None)
    return success(active_project_id=inside.project_id, project=project)


@router.patch("/{project_id}", summary="Rename a project", response_model=schema("ProjectRenamed", project=Project))
async def rename_project(db: Db, keeper: OwnedProject, given: NewName) -> Envelope:
    """The owner may, and whoever made the project."""
    return success(project=await projects.rename(db, keeper, given.name or ""))


@router.post(
    "/{project_id}/archive",
    summary="Put a project away",
    response_model=schema("ProjectArchived", released_sources=list[str], message=str),
)
async def archive_project(db: Db, keeper: OwnedProject) -> Envelope:
    """Nobody enters it any more; its data stays, and its sources are free for other projects."""
    freed = await projects.archive(db, keeper)
    message = "The project is archived. Its data stays; its sources are free for other projects."
    return success(released_sources=[s.external_id for s in freed], message=message)


@router.get(
    "/{project_id}/members",
    summary="Who may enter a project",
    tags=["members"],
    response_model=schema("Members", members=list[Member]),
)
async def list_members(db: Db, inside: NamedProject) -> Envelope:
    """In the order in which they came. The owner may enter every project and is not listed for that."""
    return success(members=await members.list_members(db, inside))


@router.put(
    "/{project_id}/members/{username}",
    summary="Let somebody into a project",
    tags=["members"],
    response_model=schema("MemberAdded", members=list[Member]),
)
async def add_member(db: Db, keeper: OwnedProject, username: str, given: NewMember) -> Envelope:
    """The owner may, and whoever made the project."""
    await members.add(db, keeper, username)
    return success(members=await members.list_members(db, keeper))


@router.delete(
    "/{project_id}/members/{username}",
    summary="Let a member go",
    tags=["members"],
    response_model=schema("MemberRemoved", members=list[Member]),
)
async def remove_member(db: Db, keeper: OwnedProject, username: str) -> Envelope:
    """The project does not exist for him any more."""
    await members.remove(db, keeper, username)
    return success(members=await members.list_members(db, keeper))


@router.get(
    "/{project_id}/sources",
    summary="What a project reads",
    tags=["sources"],
    response_model=schema("Sources", sources=list[SourceShape]),
)
async def list_sources(db: Db, inside: NamedProject) -> Envelope:
    """Oldest first."""
    return success(sources=[_source(s) for s in await sources.list_sources(db, inside)])


@router.post(
    "/{project_id}/sources",
    summary="Read an account or inbox",
    tags=["sources"],
    status_code=201,
    response_model=schema("SourceBound", source=SourceShape),
)
async def bind_source(db: Db, inside: NamedProject, given: NewSource) -> Envelope:
    """An external source belongs to one project."""
    return success(201, source=_source(await sources.bind(db, inside, given.source_kind, given.external_id)))


@router.delete(
    "/{project_id}/sources/{source_id}",
    summary="Stop reading a source",
    tags=["sources"],
    response_model=schema("SourceUnbound", source=SourceShape, message=str),
)
async def unbind_source(db: Db, inside: NamedProject, source_id: UuidText) -> Envelope:
    """The import stops; what was imported stays."""
    wanted = projects.parse_id(source_id)
    if wanted is None:
        raise sources.SourceNotFound("This project has no such source.")
    source = await sources.unbind(db, inside, wanted)
    return success(source=_source(source), message=sources.UNBOUND_NOTICE)


def _source(source: Source) -> dict[str, object]:
    return {
        "id": source.id,
        "source_kind": source.source_kind,
        "external_id": source.external_id,
        "created_at": source.created_at,
    }
