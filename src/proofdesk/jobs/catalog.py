"""Every job type, defined once: its name, its texts, its default schedule, its runbook and its handler."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from proofdesk.jobs import pipeline, runs
from proofdesk.jobs.execution import RunHandler, RunOutcome
from proofdesk.jobs.pipeline import JobContext
from proofdesk.jobs.resources import Resources
from proofdesk.jobs.run_queries import Run
from proofdesk.jobs.time_slices import TimeSlice
from proofdesk.projects.scope import Scope

JobHandler = Callable[[JobContext], Awaitable[RunOutcome]]


@dataclass(frozen=True)
class JobType:
    """A kind of job.

    `unit` is the singular of what a run counts, `failure_code` the error code of a failed run without a more exact
    cause, `runbook` the slug of the runbook that explains its failures. `first_run_after` is the time from the creation
    of a project to the first run, and `followed_by` the job types that a run may request at
    its end.
    """

    name: str
    label: str
    unit: str
    cadence_seconds: int
    failure_code: str
    runbook: str
    description: str
    handler: JobHandler
    first_run_after: timedelta = timedelta()
    followed_by: "tuple[JobType, ...]" = ()


EMBED = JobType(
    name="embeddings_run",
    label="Embeddings",
    unit="chunk",
    cadence_seconds=1200,
    failure_code="embeddings_job_failed",
    runbook="embeddings-fail",
    description="Embeds new texts, so that search finds them by meaning.",
    handler=pipeline.embed,
)
COMMITMENTS = JobType(
    name="commitments_extract",
    label="Commitments",
    unit="message",
    cadence_seconds=3600,
    failure_code="commitments_job_failed",
    runbook="commitments-wrong",
    description="Reads what new messages promise.",
    handler=pipeline.extract_commitments,
)
SYNC = JobType(
    name="chatwoot_sync",
    label="Sync",
    unit="message",
    cadence_seconds=900,
    failure_code="chatwoot_sync_failed",
    runbook="chatwoot-sync-fails",
    description="Reads what is new or changed in Chatwoot.",
    handler=pipeline.sync,
    followed_by=(EMBED, COMMITMENTS),
)
OUTBOUND = JobType(
    name="outbound_process",
    label="Outbound",
    unit="message",
    cadence_seconds=300,
    failure_code="outbound_send_failed",
    runbook="outbound-blocked",
    description="Sends approved messages that are due.",
    handler=pipeline.send_due_messages,
)
RECONCILE = JobType(
    name="chatwoot_reconcile",
    label="Reconcile",
    unit="message",
    cadence_seconds=86_400,
    failure_code="chatwoot_sync_failed",
    runbook="chatwoot-sync-fails",
    description="Compares everything with Chatwoot and repairs differences.",
    handler=pipeline.reconcile,
    first_run_after=timedelta(days=1),
    followed_by=(EMBED, COMMITMENTS),
)
MAINTENANCE = JobType(
    name="maintenance",
    label="Maintenance",
    unit="old row",
    cadence_seconds=3600,
    failure_code="internal_error",
    runbook="scheduler-worker-failing",
    description="Deletes old runs and answers, and keeps search fast.",
    handler=pipeline.maintain,
    first_run_after=timedelta(hours=1),
)

WATCH = JobType(
    name="incident_watch",
    label="Watch",
    unit="check",
    cadence_seconds=180,
    failure_code="internal_error",
    runbook="scheduler-worker-failing",
    description="Runs the checks of the runbooks, opens and closes incidents, and notifies people.",
    handler=pipeline.observe,
)

DIGEST = JobType(
    name="digest",
    label="Digest",
    unit="digest",
    cadence_seconds=1800,
    failure_code="internal_error",
    runbook="scheduler-worker-failing",
    description="Sends the daily and weekly digests to the users who asked for them.",
    handler=pipeline.observe,
)

ALL = (SYNC, EMBED, COMMITMENTS, OUTBOUND, RECONCILE, WATCH, DIGEST, MAINTENANCE)
"""In the order in which pages list them."""
_BY_NAME = {job.name: job for job in ALL}


def find(name: str) -> JobType | None:
    """Return the job type of that name, or None when this version has no such job."""
    return _BY_NAME.get(name)


def get_label(name: str) -> str:
    """Return the label of a job type. A type of another version gets one from its name."""
    job = find(name)
    return job.label if job else name.replace("_", " ").capitalize()


def bind_handler(resources: Resources, name: str) -> RunHandler:
    """Return what executes a run of that job type with these resources."""

    async def handle(scope: Scope, run: Run, time_slice: TimeSlice) -> RunOutcome:
        job = _BY_NAME[name]

        async def request_follow_up(handler: JobHandler) -> None:
            for follower in job.followed_by:
                if follower.handler is handler:
                    await runs.request_after(resources.db, scope, follower.name, "schedule")

        return await job.handler(JobContext(resources, scope, run, time_slice, request_follow_up))

    return handle
