"""JSON: incidents that explain themselves, with their evidence."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AfterValidator, BaseModel, Field

from proofdesk.http import runbook_context
from proofdesk.http.dependencies import CurrentSession, OptionalSession
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.responses import Envelope, success
from proofdesk.http.schemas import schema
from proofdesk.runbooks import bundle, registry
from proofdesk.runbooks.findings import Diagnosis

router = APIRouter(prefix="/v1", tags=["runbooks"], route_class=JsonRoute)


def _in_utc(time: datetime | None) -> datetime | None:
    return time if time is None or time.tzinfo else time.replace(tzinfo=UTC)


Slug = Annotated[str, Path(description="Name of the runbook.", examples=["chatwoot-sync-fails"])]
OutboundId = Annotated[UUID | None, Query(description="The message that `outbound-blocked` is about; unset: all.")]
Time = Annotated[datetime | None, AfterValidator(_in_utc)]


class Checking(JsonBody):
    """What only whoever asks can know."""

    client_time: Time = Field(None, description="The time on the clock of whoever asks.")


class Running(Checking):
    """What a run is about."""

    outbound_id: UUID | None = Field(None, description="The message that `outbound-blocked` is about; unset: all.")


class RunbookShape(BaseModel):
    """An incident."""

    slug: str
    title: str
    symptom: str
    impact: str


class CauseShape(BaseModel):
    """The first check that fails; those after it may fail because of it."""

    check: str
    message: str


class CheckShape(BaseModel):
    """One thing that was looked at."""

    id: str
    title: str
    status: Literal["ok", "warn", "fail", "skip"]
    observed: str
    expected: str
    fix: str = Field(description="What to do; empty when nothing is to be done.")


class FixShape(BaseModel):
    """Something to do: a request to this API and the same as a command, where there is one."""

    label: str
    method: str | None
    path: str | None
    body: dict[str, Any] | None
    command: str | None


DiagnosisAnswer = schema(
    "Diagnosis",
    slug=str,
    title=str,
    verdict=Literal["ok", "problem"],
    cause=CauseShape | None,
    checks=list[CheckShape],
    fixes=list[FixShape],
)


@router.get("/runbooks", summary="Incidents", response_model=schema("Runbooks", runbooks=list[RunbookShape]))
async def list_runbooks(session: CurrentSession) -> Envelope:
    """What may go wrong, by what people notice."""
    names = ("slug", "title", "symptom", "impact")
    return success(runbooks=[{name: getattr(r, name) for name in names} for r in registry.all()])


@router.post("/runbooks/{slug}/run", summary="Find the cause", response_model=DiagnosisAnswer)
async def run(request: Request, session: CurrentSession, slug: Slug, given: Running) -> Envelope:
    """Looks at the real thing and names the cause. Changes nothing."""
    runbook = registry.find(slug)
    case = await runbook_context.build_context(request, session, given.outbound_id, given.client_time)
    return _told(await registry.run(case, runbook))


@router.post("/auth/check", summary="Why am I not let in?", response_model=DiagnosisAnswer)
async def check(request: Request, session: OptionalSession, given: Checking) -> Envelope:
    """The runbook `auth-loop` for whoever cannot sign in: it tells of this request, and nothing of anybody else."""
    case = await runbook_context.build_context(request, session, sent_at=given.client_time)
    return _told(await registry.run(case, registry.find("auth-loop")))


@router.get(
    "/runbooks/{slug}/evidence",
    summary="Evidence for an issue",
    response_class=Response,
    responses={200: {"description": "A Markdown report and JSON.", "content": {"application/zip": {}}}},
)
async def show_evidence(
    request: Request, session: CurrentSession, slug: Slug, outbound_id: OutboundId = None
) -> Response:
    """A zip for whoever is to help: what was found, and what belongs to it, without secrets and personal data."""
    runbook = registry.find(slug)
    packed = await bundle.bundle(await runbook_context.build_context(request, session, outbound_id), runbook)
    name = f'attachment; filename="{packed.name}"'
    return Response(packed.content, media_type="application/zip", headers={"content-disposition": name})


def _told(found: Diagnosis) -> Envelope:
    return success(
        slug=found.slug,
        title=found.title,
        verdict=found.verdict,
        cause=found.cause,
        checks=list(found.checks),
        fixes=list(found.fixes),
    )
