"""JSON: runbooks that check an incident and name its cause, and their evidence bundles."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from proofdesk.http import runbook_context
from proofdesk.http.dependencies import IN_PROJECT, CurrentSession, OptionalSession
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.parameters import OptionalTime
from proofdesk.http.responses import JsonEnvelope, success
from proofdesk.http.schemas import row_schema, schema, to_answer
from proofdesk.runbooks import bundle, execution, registry
from proofdesk.runbooks.findings import Cause, Finding, Fix, Runbook, RunbookResult, Unchecked, Verdict

router = APIRouter(prefix="/v1", tags=["runbooks"], route_class=JsonRoute)

_OUTBOUND_ID = "The message that `outbound-blocked` is about. Unset: all messages."
Slug = Annotated[str, Path(description="Name of the runbook.", examples=["chatwoot-sync-fails"])]
OutboundId = Annotated[UUID | None, Query(description=_OUTBOUND_ID)]


class AuthCheckBody(JsonBody):
    """Facts that only the client knows."""

    client_time: OptionalTime = Field(None, description="The time on the client's clock.")


class RunbookBody(AuthCheckBody):
    """The subject of a run."""

    outbound_id: UUID | None = Field(None, description=_OUTBOUND_ID)


class RunbookSchema(row_schema(Runbook, omit=("checks", "evidence", "variables", "per_project"))):
    """A runbook."""


class CauseSchema(row_schema(Cause)):
    """The first check that fails. Later checks may fail because of it."""


class FindingSchema(row_schema(Finding)):
    """The result of one check."""

    fix: str = Field(description="What to do; empty when there is nothing to do.")


class UncheckedSchema(row_schema(Unchecked)):
    """A check that had no result, and why."""


class FixSchema(row_schema(Fix)):
    """An action: a request to this API, and the equivalent command, when there is one."""


class DiagnosisSchema(row_schema(RunbookResult, omit=("cause", "checks", "unchecked", "fixes"))):
    """The result of a runbook."""

    cause: CauseSchema | None
    checks: list[FindingSchema]
    unchecked: list[UncheckedSchema]
    fixes: list[FixSchema]


DiagnosisAnswer = schema(
    "Diagnosis",
    slug=str,
    title=str,
    verdict=Verdict,
    summary=str,
    cause=CauseSchema | None,
    checks=list[FindingSchema],
    unchecked=list[UncheckedSchema],
    incomplete=bool,
    fixes=list[FixSchema],
)


DiagnosesAnswer = schema("Diagnoses", results=list[DiagnosisSchema])


@router.get("/runbooks", summary="List runbooks", response_model=schema("Runbooks", runbooks=list[RunbookSchema]))
async def list_runbooks(session: CurrentSession) -> JsonEnvelope:
    """Every incident with a runbook, by its symptom."""
    return success(runbooks=[to_answer(RunbookSchema, runbook) for runbook in registry.list_runbooks()])


@router.post("/runbooks/{slug}/run", summary="Run a runbook", response_model=DiagnosisAnswer, dependencies=IN_PROJECT)
async def run(request: Request, session: CurrentSession, slug: Slug, body: RunbookBody) -> JsonEnvelope:
    """Runs the checks and names the cause. Changes nothing."""
    runbook = registry.get_runbook(slug)
    context = await runbook_context.build_context(request, session, body.outbound_id, body.client_time)
    return success(**vars(await execution.run_checks(context, runbook)))


@router.post("/runbooks/run", summary="Run all runbooks", response_model=DiagnosesAnswer, dependencies=IN_PROJECT)
async def run_all(request: Request, session: CurrentSession, body: AuthCheckBody) -> JsonEnvelope:
    """Runs every runbook at once. Changes nothing."""
    context = await runbook_context.build_context(request, session, sent_at=body.client_time)
    return success(results=list(map(vars, await execution.run_all(context, registry.list_runbooks()))))


@router.post("/auth/check", summary="Diagnose a sign-in", response_model=DiagnosisAnswer)
async def check(request: Request, session: OptionalSession, body: AuthCheckBody) -> JsonEnvelope:
    """The runbook `auth-loop` for a person who cannot sign in. It reveals only facts about this request."""
    context = await runbook_context.build_context(request, session, sent_at=body.client_time)
    return success(**vars(await execution.run_checks(context, registry.get_runbook("auth-loop"))))


@router.get(
    "/runbooks/{slug}/evidence",
    summary="Download an evidence bundle",
    response_class=Response,
    responses={200: {"description": "A Markdown report and JSON.", "content": {"application/zip": {}}}},
)
async def show_evidence(
    request: Request, session: CurrentSession, slug: Slug, outbound_id: OutboundId = None
) -> Response:
    """A zip for support: the findings and related data, without secrets and personal data."""
    runbook = registry.get_runbook(slug)
    zipped = await bundle.build_bundle(await runbook_context.build_context(request, session, outbound_id), runbook)
    disposition = f'attachment; filename="{zipped.name}"'
    return Response(zipped.content, media_type="application/zip", headers={"content-disposition": disposition})
