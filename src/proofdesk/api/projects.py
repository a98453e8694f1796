"""JSON: projects and what they read."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from proofdesk import request as asking
from proofdesk.api.answers import Answer, shape, success
from proofdesk.api.bodies import Body, JsonRoute
from proofdesk.auth import sessions
from proofdesk.projects import projects, sources
from proofdesk.projects.queries import Project, Source
from proofdesk.request import Db, NamedProject, Viewer

router = APIRouter(prefix="/v1/projects", tags=["projects"], route_class=JsonRoute)


class NewProject(Body):
    """A project to make."""

    name: str | None = Field(None, description="2 to 160 characters.")
    account_scope_key: str | None = Field(None, description="Projects of one customer share a key.")
    account_scope_name: str | None = None


class NewSource(Body):
    """A Chatwoot account or inbox to read."""

    source_kind: str = Field(description="`chatwoot_account` or `chatwoot_inbox`.")
    external_id: str = Field(description="`<account>` or `<account>:<inbox>`.")


class SourceShape(BaseModel):
    """A source."""

    id: UUID
    source_kind: str
    external_id: str
    created_at: datetime


@router.get(
    "",
    summary="Projects you may enter",
    response_model=shape(
        "Projects", projects=list[Project], active_project_id=UUID | None, account_scope_id=UUID | None
    ),
)
async def list_projects(request: Request, db: Db, session: Viewer) -> Answer:
    """Oldest first, and which one is active."""
    visible = await projects.visible(db, asking.actor(request, session))
    active = next((p for p in visible if p.id == session.active_project_id), None)
    return success(
        projects=visible,
        active_project_id=active and active.id,
        account_scope_id=active and active.account_scope_id,
    )


@router.post("", summary="Make a project", response_model=shape("NewProjectMade", project=Project))
async def create_project(request: Request, db: Db, session: Viewer, given: NewProject) -> Answer:
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
    response_model=shape("ProjectSelected", active_project_id=UUID, project=Project),
)
async def select_project(request: Request, db: Db, session: Viewer, inside: NamedProject) -> Answer:
    """Makes it the active project of this session, and of the next login."""
    await sessions.work_in(db, session, inside.project_id)
    visible = await projects.visible(db, inside.actor)
    project = next((p for p in visible if p.id == inside.project_id), None)
    return success(active_project_id=inside.project_id, project=project)


@router.get(
    "/{project_id}/sources",
    summary="What a project reads",
    tags=["sources"],
    response_model=shape("Sources", sources=list[SourceShape]),
)
async def list_sources(db: Db, inside: NamedProject) -> Answer:
    """Oldest first."""
    return success(sources=[_source(s) for s in await sources.bound(db, inside)])


@router.post(
    "/{project_id}/sources",
    summary="Read an account or inbox",
    tags=["sources"],
    status_code=201,
    response_model=shape("SourceBound", source=SourceShape),
)
async def bind_source(db: Db, inside: NamedProject, given: NewSource) -> Answer:
    """An external source belongs to one project."""
    return success(201, source=_source(await sources.bind(db, inside, given.source_kind, given.external_id)))


@router.delete(
    "/{project_id}/sources/{source_id}",
    summary="Stop reading a source",
    tags=["sources"],
    response_model=shape("SourceUnbound"),
)
async def unbind_source(db: Db, inside: NamedProject, source_id: str) -> Answer:
    """What was imported stays."""
    wanted = projects.as_id(source_id)
    if wanted is None:
        raise sources.SourceNotFound("This project has no such source.")
    await sources.unbind(db, inside, wanted)
    return success()


def _source(source: Source) -> dict[str, object]:
    return {
        "id": source.id,
        "source_kind": source.source_kind,
        "external_id": source.external_id,
        "created_at": source.created_at,
    }
