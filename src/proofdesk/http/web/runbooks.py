"""Pages: runbooks and the checks that find a cause. Checks change nothing."""

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from proofdesk.errors import Invalid
from proofdesk.http import runbook_context
from proofdesk.http.dependencies import IN_PROJECT, CurrentSession, Db, Route
from proofdesk.http.web import layout, view_models
from proofdesk.runbooks import execution, registry
from proofdesk.runbooks.findings import Fix, RunbookResult

router = APIRouter(route_class=Route)

MESSAGE_RUNBOOK = "outbound-blocked"
"""The runbook that can check a single message."""


@dataclass(frozen=True)
class FixAction:
    """A fix: a form with a button, a link to the page where it is done, or a command."""

    label: str
    action: str
    url: str
    command: str


@router.get("/runbooks")
async def show_runbooks(request: Request, db: Db, session: CurrentSession) -> Response:
    """Show all runbooks with their symptoms."""
    frame = await layout.load_frame(request, db, session)
    return layout.render_page(request, "runbooks/page.html", _list_values({}), frame=frame)


@router.post("/runbooks/run", dependencies=IN_PROJECT)
async def run_all(request: Request, db: Db, session: CurrentSession) -> Response:
    """Run all runbooks and show a light for each."""
    context = await runbook_context.build_context(request, session)
    results = await execution.run_all(context, registry.list_runbooks())
    values = _list_values({result.slug: result for result in results})
    if layout.wants_partial(request):
        return layout.render_partial(request, "runbooks/_list.html", values)
    return layout.render_page(
        request, "runbooks/page.html", values, frame=await layout.load_frame(request, db, session)
    )


@router.get("/runbooks/{slug}")
async def show_runbook(request: Request, db: Db, session: CurrentSession, slug: str, outbound_id: str = "") -> Response:
    """Show a runbook before its checks have run."""
    values = _values(slug, _id(outbound_id)) | {"diagnosis": None}
    return layout.render_page(
        request, "runbooks/runbook.html", values, frame=await layout.load_frame(request, db, session)
    )


@router.post("/runbooks/{slug}/run", dependencies=IN_PROJECT)
async def run(
    request: Request, db: Db, session: CurrentSession, slug: str, outbound_id: Annotated[str, Form()] = ""
) -> Response:
    """Run the checks and show the cause, the results and the fixes."""
    message = _id(outbound_id)
    values = _values(slug, message)
    case = await runbook_context.build_context(request, session, message)
    values["diagnosis"] = _diagnosis_values(request, await execution.run_checks(case, values["runbook"]), message)
    if layout.wants_partial(request):
        return layout.render_partial(request, "runbooks/_diagnosis.html", values)
    return layout.render_page(
        request, "runbooks/runbook.html", values, frame=await layout.load_frame(request, db, session)
    )


def _list_values(results: dict[str, RunbookResult]) -> dict[str, Any]:
    lights = {slug: _light(result) for slug, result in results.items()}
    problems = sum(light == "fail" for light in lights.values())
    incomplete = sum(result.incomplete for result in results.values())
    found = f"{view_models.format_count(problems, 'problem')} found." if problems else "No check failed."
    unfinished = f" In {view_models.format_count(incomplete, 'runbook')}, checks did not end." if incomplete else ""
    return {
        "runbooks": [(r, lights.get(r.slug, "skip"), results.get(r.slug)) for r in registry.list_runbooks()],
        "summary": found + unfinished if results else "",
        "tone": "bad" if problems else "warn" if incomplete else "good",
    }


def _light(result: RunbookResult) -> str:
    """Return the status of a runbook: the worst of its checks. What was not checked is not `ok`."""
    if result.cause:
        return "fail"
    return "warn" if result.incomplete or any(check.status == "warn" for check in result.checks) else "ok"


def _values(slug: str, message: UUID | None) -> dict[str, Any]:
    about = f"?{urlencode({'outbound_id': str(message)})}" if message else ""
    return {
        "runbook": registry.get_runbook(slug),
        "takes_message": slug == MESSAGE_RUNBOOK,
        "message": str(message or ""),
        "evidence_url": f"/runbooks/{slug}/evidence{about}",
    }


def _id(text: str) -> UUID | None:
    try:
        return UUID(text) if text.strip() else None
    except ValueError:
        raise Invalid("The id of a message is a UUID: take it from the list of outbound messages.") from None


def _diagnosis_values(request: Request, diagnosis: RunbookResult, message: UUID | None) -> dict[str, Any]:
    form_paths = {
        route.path for route in request.app.routes if isinstance(route, APIRoute) and "POST" in (route.methods or ())
    }
    return {
        "summary": diagnosis.summary,
        "tone": {"fail": "bad", "warn": "warn"}.get(_light(diagnosis), "good"),
        "unchecked": diagnosis.unchecked,
        "checks": diagnosis.checks,
        "fixes": [_fix_action(fix, form_paths, message) for fix in diagnosis.fixes],
        "passed": sum(check.status == "ok" for check in diagnosis.checks),
    }


def _fix_action(fix: Fix, form_paths: set[str], message: UUID | None) -> FixAction:
    """Return a button if a page route accepts the fix, else a link to the page where it is done."""
    path = fix.path or ""
    action = path if fix.method == "POST" and path in form_paths and not fix.body else ""
    return FixAction(fix.label, action, "" if action else _page_of_fix(path, message), fix.command or "")


def _page_of_fix(path: str, message: UUID | None) -> str:
    room, _, rest = path.removeprefix("/").partition("/")
    if path == "/auth/login":
        return "/login"
    if room == "runbooks":
        return f"/runbooks/{rest.removesuffix('/run')}"
    if not layout.has_page(f"/{room}"):
        return ""
    return f"/outbound/{message}" if message and path.startswith("/outbound/{id}") else f"/{room}"
