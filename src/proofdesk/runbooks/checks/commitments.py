"""Commitments are missing or wrong: checks each step from the messages to the register."""

from datetime import timedelta

from proofdesk.commitments import extraction_job
from proofdesk.commitments.extraction import extractor
from proofdesk.jobs import catalog
from proofdesk.projects import timezones
from proofdesk.runbooks import bundle_sources, facts, fixes
from proofdesk.runbooks.checks import database, search
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import Check, EvidenceSection, Fix, Observation, Runbook, fail, ok

_JOB = catalog.COMMITMENTS.name
_PATIENCE = timedelta(hours=2)  # twice the cadence of the job
_EXTRACT = Fix("Run the Commitments job.", "POST", "/jobs/commitments/run", {}, "proofdesk commitments --extract")
_SAMPLES = {
    "english": "I'll send you the offer tomorrow.",
    "german": "Ich schicke Ihnen das Angebot morgen.",
    "russian": "Пришлю предложение завтра.",
    "spanish": "Le envío la oferta mañana.",
}


async def check_last_run(context: RunbookContext) -> Observation:
    """Check whether the last run of the job failed."""
    latest = await context.load_once(facts.load_latest_runs)
    return await facts.check_last_run(context, _JOB) if _JOB in latest else ok("No run yet.")


async def check_reading(context: RunbookContext) -> Observation:
    """Check that no message waits for long to be read."""
    unread = await extraction_job.count_waiting(context.resources.db, context.required_scope, context.now() - _PATIENCE)
    if not unread:
        return ok("No message has waited for two hours to be read.")
    return fail(f"{unread} messages that were stored more than two hours ago are not read.")


async def check_extractor(context: RunbookContext) -> Observation:
    """Check that the extractor finds a promise in each of its languages."""
    today = context.now().date()
    missing = [name for name, text in _SAMPLES.items() if not extractor.extract(text, name, "agent", today)]
    if missing:
        return fail(f"No promise is found in a sample in {', '.join(missing)}.")
    return ok(f"Promises are found in {', '.join(_SAMPLES)}. Messages in other languages are not read.")


async def check_timezone(context: RunbookContext) -> Observation:
    """Say in which time zone days count."""
    async with context.resources.db.scoped(context.required_scope) as conn:
        zone = await timezones.load(conn, context.required_scope, context.settings.project_timezone)
    return ok(f"Days count in {zone.key}. If that is wrong, change it on the page Settings.")


RUNBOOK = Runbook(
    slug="commitments-wrong",
    title="Commitments are missing or wrong",
    symptom="`/commitments` lacks a promise, shows a sentence that is none, or a wrong day.",
    impact="Promises are forgotten, or reminders are wrong.",
    checks=(
        database.USABLE,
        search.PROJECT,
        Check(
            "messages",
            "Messages",
            "`cw_messages` has rows of the project.",
            "The project has no messages: nothing was imported yet.",
            search.check_messages,
            fixes.SYNC,
        ),
        Check(
            "run",
            "Commitments job",
            f"The last run of `{_JOB}` did not fail.",
            "The last Commitments job failed.",
            check_last_run,
            _EXTRACT,
        ),
        Check(
            "reading",
            "Messages that wait",
            "Every message is read within two hours.",
            "Messages wait to be read: no worker runs, or the job is paused.",
            check_reading,
            _EXTRACT,
        ),
        Check(
            "extractor",
            "Extractor",
            "The extractor finds a sample promise in each of its languages.",
            "The extractor does not work: its dictionary is missing from the installation.",
            check_extractor,
            Fix("Install Proofdesk again.", command="pip install --force-reinstall proofdesk"),
        ),
        Check(
            "timezone",
            "Time zone",
            "Days count in the time zone of the business.",
            "The time zone of the project cannot be used.",
            check_timezone,
            fixes.set_variable("PROJECT_TIMEZONE", "to the time zone of the business, such as Europe/Berlin"),
        ),
    ),
    evidence=(
        EvidenceSection("Project", bundle_sources.collect_project),
        EvidenceSection("Status of the jobs", bundle_sources.load_jobs_status),
        EvidenceSection("Error of the last run", bundle_sources.collect_last_failures(_JOB)),
    ),
    variables=("PROJECT_TIMEZONE",),
)
