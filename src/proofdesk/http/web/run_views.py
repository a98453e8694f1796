"""How runs and schedules look on a page: plain values for templates."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from proofdesk.dashboard.status_queries import DailyWork
from proofdesk.http.web import layout, view_models
from proofdesk.http.web.layout import Choice
from proofdesk.jobs import catalog
from proofdesk.jobs.run_queries import Run
from proofdesk.jobs.schedule_queries import Schedule
from proofdesk.runbooks import registry

STATUSES = ("queued", "running", "ok", "failed", "cancelled")
TRIGGERS = {"manual": "manual", "schedule": "schedule", "webhook": "webhook", "cli": "command line"}
CADENCES = (60, 300, 900, 1200, 3600, 21_600, 86_400)


@dataclass(frozen=True)
class RunFilter:
    """Which runs to list."""

    job_type: str
    status: str
    page: int

    @classmethod
    def parse(cls, job_type: str, status: str, page: str) -> "RunFilter":
        """Return the filter that the query string contains; invalid values are ignored."""
        values = job_type if catalog.find(job_type) else "", status if status in STATUSES else ""
        return cls(*values, layout.parse_page_number(page))

    def type_choices(self) -> list[Choice]:
        """Return the chips of job types; the value of each is its address."""
        chips = [("", "All jobs"), *((job.name, job.label) for job in catalog.ALL)]
        return [Choice(replace(self, job_type=v).url(), text, v == self.job_type) for v, text in chips]

    def status_choices(self) -> list[Choice]:
        """Return the chips of statuses."""
        chips = [("", "Any status"), ("ok", "Ok"), ("failed", "Failed"), ("cancelled", "Cancelled")]
        return [Choice(replace(self, status=v).url(), text, v == self.status) for v, text in chips]

    def url(self, page: int = 1) -> str:
        """Return the address of the list."""
        fields = {"job_type": self.job_type, "status": self.status, "page": page if page > 1 else ""}
        query = urlencode({name: value for name, value in fields.items() if value})
        return "/jobs" + (f"?{query}" if query else "")


@dataclass(frozen=True)
class RunCard:
    """A run in a list."""

    id: str
    label: str
    status: str
    trigger: str
    started: view_models.DisplayTime
    duration: str
    processed: str
    error: str
    runbook: str
    done: int
    total: int
    pace: str
    stopping: bool


@dataclass(frozen=True)
class RunDetail:
    """A run on its own page."""

    card: RunCard
    facts: list[tuple[str, str]]
    upstream: list[tuple[str, str]]
    counts: list[tuple[str, str]]
    request_id: str


@dataclass(frozen=True)
class DayCard:
    """The work of a day."""

    at: view_models.DisplayTime
    messages: int
    chunks: int
    has_work: bool


@dataclass(frozen=True)
class JobCard:
    """A job and its schedule."""

    job_type: str
    label: str
    about: str
    status: str
    next_run: view_models.DisplayTime | None
    last_run: view_models.DisplayTime | None
    last_status: str
    last_error: str
    runbook: str
    cadences: list[Choice]


def day_card(work: DailyWork) -> DayCard:
    """Return a day as a row of the plot."""
    at = view_models.DisplayTime(f"{work.day.isoformat()}T00:00:00Z", f"{work.day.day} {work.day:%b}")
    return DayCard(at, work.messages_read, work.chunks_embedded, bool(work.messages_read or work.chunks_embedded))


def run_card(run: Run, now: datetime | None = None) -> RunCard:
    """Return a run in its current state."""
    now = now or datetime.now(UTC)
    started = run.started_at or run.created_at
    progress = run.progress or {}
    is_over = run.finished_at is not None
    return RunCard(
        id=str(run.id),
        label=catalog.get_label(run.job_type),
        status=run.status,
        trigger=TRIGGERS[run.trigger] + (f", attempt {run.attempt}" if run.attempt > 1 else ""),
        started=view_models.display_time(started),
        duration=view_models.format_duration(((run.finished_at or now) - started).total_seconds())
        if run.started_at
        else "",
        processed=view_models.format_count(run.processed_count, _unit(run.job_type)) if is_over else "",
        error=run.error or "",
        runbook=runbook_url(run.job_type, run.error_details) if run.status == "failed" else "",
        done=progress.get("done", 0),
        total=progress.get("total") or 0,
        pace=_describe_pace(run, now) if run.status == "running" else "",
        stopping=run.cancel_requested_at is not None,
    )


def run_detail(run: Run) -> RunDetail:
    """Return a run with its error and its result."""
    details = dict(run.error_details or {})
    upstream = details.pop("upstream", None) or {}
    result = run.meta.get("result") or {}
    return RunDetail(
        card=run_card(run),
        facts=[
            (view_models.format_name(n), view_models.format_value(v))
            for n, v in details.items()
            if v not in (None, "", [], {})
        ],
        upstream=[
            (view_models.format_name(n), view_models.format_value(v)) for n, v in upstream.items() if v is not None
        ],
        counts=[
            (view_models.format_name(n), view_models.format_value(v))
            for n, v in result.items()
            if v not in (None, [], {})
        ],
        request_id=run.request_id or "",
    )


def schedule_cards(jobs: list[Schedule]) -> list[JobCard]:
    """Return the schedules in the order of the pipeline."""
    order = [job.name for job in catalog.ALL]
    return [_job(job) for job in sorted(jobs, key=lambda j: order.index(j.job_type) if j.job_type in order else 99)]


def _job(job: Schedule) -> JobCard:
    job_type = catalog.find(job.job_type)
    seconds = sorted({*CADENCES, job.cadence_seconds})
    return JobCard(
        job_type=job.job_type,
        label=catalog.get_label(job.job_type),
        about=job_type.description if job_type else "",
        status=job.status,
        next_run=view_models.display_time(job.next_run_at) if job.status == "active" else None,
        last_run=view_models.display_time(job.last_run_at) if job.last_run_at else None,
        last_status=job.last_status or "",
        last_error=job.last_error or "",
        runbook=runbook_url(job.job_type, None) if job.last_error else "",
        cadences=[Choice(str(s), _every(s), s == job.cadence_seconds) for s in seconds],
    )


def format_cadence(job: Schedule) -> str:
    """Return how often a job runs."""
    return _every(job.cadence_seconds)


def runbook_url(job_type: str, details: dict[str, Any] | None) -> str:
    """Return the address of the runbook for a failed job, or an empty string."""
    job = catalog.find(job_type)
    slug = registry.runbook_for_error((details or {}).get("code", "")) or (job.runbook if job else None)
    return f"/runbooks/{slug}" if slug else ""


def _describe_pace(run: Run, now: datetime) -> str:
    """Return progress, rate and time left: `1,200 of 5,000 conversations cut, 240 per second, 16 seconds left`."""
    progress = run.progress
    if not progress:
        return "starting"
    done, total, (unit, *verb) = progress["done"], progress["total"], progress["unit"].split(" ")
    unit = unit.removesuffix("s")
    count = view_models.format_count(total, unit) if total else view_models.format_count(done, unit)
    text = " ".join((f"{view_models.format_number(done)} of {count}" if total else count, *verb))
    stage = progress.get("stage") or {"done": done, "since": now.isoformat()}  # workers of older versions send none
    seconds = (now - datetime.fromisoformat(stage["since"])).total_seconds()
    rate = (done - stage["done"]) / seconds if seconds >= 1 else 0
    if rate:
        pace = f"{view_models.format_number(round(rate))} per second" if rate >= 1 else f"{rate * 60:.0f} per minute"
        text += f", {pace}"
    is_unfinished = rate and total and total > done
    return text + (f", {view_models.format_duration((total - done) / rate)} left" if is_unfinished else "")


def _unit(job_type: str) -> str:
    job = catalog.find(job_type)
    return job.unit if job else "item"


def _every(seconds: int) -> str:
    names = {60: "every minute", 3600: "every hour", 86_400: "every day"}
    return names.get(seconds, f"every {view_models.format_duration(seconds)}")
