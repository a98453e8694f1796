"""Pages: the register of commitments, and the forms by which a person decides about one."""

from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.commitments import register
from proofdesk.commitments.commitment_queries import ACTIVE, Commitment, CommitmentCounts, CommitmentFilter
from proofdesk.commitments.register import CommitmentChange
from proofdesk.errors import Invalid
from proofdesk.http.dependencies import Config, CurrentSession, Db, OptionalProject, ProjectEditor, ProjectReader, Route
from proofdesk.http.web import commitment_views, layout, projects, view_models
from proofdesk.http.web.commitment_views import LANGUAGES, STATES
from proofdesk.http.web.layout import Choice

router = APIRouter(prefix="/commitments", route_class=Route)

Text = Annotated[str, Form()]

PAGE_SIZE = 50
DONE = "Commitment changed."
SHOWN = {"": "Active", "overdue": "Overdue", "soon": "Due soon"} | STATES | {"all": "All"}
OWNERS = {"": "Both sides", "us": "We promised", "contact": "They promised"}


@dataclass(frozen=True)
class RegisterForm:
    """Which commitments to show; invalid values of the address are ignored."""

    show: str = ""
    owner: str = ""
    language: str = ""
    contact: str = ""
    by: str = ""
    page: int = 1


async def parse_form(
    show: str = "", owner: str = "", language: str = "", contact: str = "", by: str = "", page: str = "1"
) -> RegisterForm:
    """Return the filter that the address contains."""
    return RegisterForm(
        show=show if show in SHOWN else "",
        owner=owner if owner in OWNERS else "",
        language=language if language in LANGUAGES else "",
        contact=contact[:200],
        by=by[:200],
        page=layout.parse_page_number(page),
    )


@router.get("")
async def list_commitments(
    request: Request,
    db: Db,
    settings: Config,
    session: CurrentSession,
    scope: OptionalProject,
    form: Annotated[RegisterForm, Depends(parse_form)],
    done: str = "",
) -> Response:
    """Show a page of commitments: the overdue ones first, then those that are due soon."""
    if scope is None:
        return await projects.render_projects(request, session)
    zone, first, error = settings.project_timezone, (form.page - 1) * PAGE_SIZE, ""
    counts = await register.count_active(db, scope, zone)
    try:
        rows, total = await register.list_commitments(db, scope, _filter(form), zone, PAGE_SIZE, first)
    except Invalid as invalid:
        (rows, total), error = ([], 0), invalid.message
    names = await register.list_names(db, scope)
    values = _values(form, rows, total) | {
        "chips": _chips(form, counts),
        "people": _choices({"": "Anybody"} | {name: name for name in names}, form.by),
        "error": error,
    }
    frame = await layout.load_frame(request, db, session)
    notice = DONE if done == "changed" else ""
    return layout.render_page(request, "commitments/page.html", values, frame=frame, toast=notice)


@router.get("/{commitment_id}")
async def show_commitment(
    request: Request, db: Db, settings: Config, session: CurrentSession, scope: ProjectReader, commitment_id: str
) -> Response:
    """Show one commitment."""
    commitment = await register.get_commitment(db, scope, commitment_id, settings.project_timezone)
    values = {"rows": [commitment_views.commitment_view(commitment)]} | commitment_views.limits()
    frame = await layout.load_frame(request, db, session)
    return layout.render_page(request, "commitments/commitment.html", values, frame=frame)


@router.post("/{commitment_id}")
async def change_commitment(
    request: Request,
    db: Db,
    settings: Config,
    scope: ProjectEditor,
    commitment_id: str,
    state: Text = "",
    due: Annotated[str | None, Form()] = None,
    what: Text = "",
    reason: Text = "",
) -> Response:
    """Store what a person decided; htmx gets the changed row."""
    texts = {"state": state, "what": what, "reason": reason}
    values: dict[str, Any] = {name: text for name, text in texts.items() if text.strip()}
    if due is not None:
        values["due"] = due.strip() or None
    try:
        commitment = await register.change(
            db, scope, commitment_id, CommitmentChange(values), settings.project_timezone
        )
    except Invalid as error:
        if layout.wants_partial(request):
            return layout.toast_response(error.message, "bad")
        raise
    if layout.wants_partial(request):
        row = {"commitment": commitment_views.commitment_view(commitment)} | commitment_views.limits()
        return layout.render_partial(request, "commitments/_row.html", row, toast=DONE)
    return RedirectResponse(layout.referring_path(request), 303)


def _filter(form: RegisterForm) -> CommitmentFilter:
    state = {"all": None, "": ",".join(ACTIVE), "overdue": None, "soon": ",".join(ACTIVE)}.get(form.show, form.show)
    wanted = register.build_filter(
        state=state,
        owner=form.owner,
        language=form.language,
        contact_global_id=form.contact,
        by_name=form.by,
        overdue=True if form.show == "overdue" else None,
    )
    return replace(wanted, is_due_soon=True) if form.show == "soon" else wanted


def _values(form: RegisterForm, rows: list[Commitment], total: int) -> dict[str, Any]:
    first = (form.page - 1) * PAGE_SIZE
    return commitment_views.limits() | {
        "rows": [commitment_views.commitment_view(row) for row in rows],
        "form": form,
        "owners": _choices(OWNERS, form.owner),
        "languages": _choices({"": "Any language"} | LANGUAGES, form.language),
        "contact_chip": _url(replace(form, contact="", page=1)) if form.contact else "",
        "contact_name": rows[0].contact_name if form.contact and rows else form.contact,
        "is_set": form != RegisterForm(page=form.page),
        "range_text": f"{first + 1} to {first + len(rows)} of {view_models.format_number(total)}" if rows else "",
        "newer_url": _url(replace(form, page=form.page - 1)) if form.page > 1 else "",
        "older_url": _url(replace(form, page=form.page + 1)) if first + len(rows) < total else "",
    }


def _chips(form: RegisterForm, counts: CommitmentCounts) -> list[tuple[Choice, str]]:
    numbers = {"": counts.active, "overdue": counts.overdue, "soon": counts.due_soon, "proposed": counts.proposed}
    return [
        (
            Choice(_url(replace(form, show=value, page=1)), label, value == form.show),
            view_models.format_number(numbers[value]) if value in numbers else "",
        )
        for value, label in SHOWN.items()
        if value != "open"  # all but those to confirm; "Active" shows both
    ]


def _choices(options: dict[str, str], chosen: str) -> list[Choice]:
    return [Choice(value, label, value == chosen) for value, label in options.items()]


def _url(form: RegisterForm) -> str:
    fields = {"show": form.show, "owner": form.owner, "language": form.language, "contact": form.contact}
    fields |= {"by": form.by, "page": str(form.page) if form.page > 1 else ""}
    query = urlencode({name: value for name, value in fields.items() if value})
    return "/commitments" + (f"?{query}" if query else "")
