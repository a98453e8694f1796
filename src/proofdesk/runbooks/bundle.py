"""The evidence bundle: a report in Markdown and in JSON, without secrets and personal data."""

import asyncio
import io
import json
import platform
import zipfile
from dataclasses import dataclass
from typing import Any

from proofdesk import __version__, logging
from proofdesk import settings as configuration
from proofdesk.errors import ProofdeskError
from proofdesk.runbooks import execution, queries
from proofdesk.runbooks.context import CheckSkippedError, RunbookContext
from proofdesk.runbooks.findings import EvidenceSection, Runbook
from proofdesk.runbooks.redaction import Redactor, iterate_strings

log = logging.get_logger(__name__)

_COLLECT_SECONDS = 15.0


@dataclass(frozen=True)
class EvidenceBundle:
    """A zip file and its name."""

    name: str
    content: bytes


async def build_bundle(context: RunbookContext, runbook: Runbook) -> EvidenceBundle:
    """Run the runbook and pack its result and its evidence. Secrets and personal data are redacted."""
    report = await build_report(context, runbook)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("report.md", render_markdown(report))
        archive.writestr("report.json", json.dumps(report, ensure_ascii=False, indent=2))
    return EvidenceBundle(f"{runbook.slug}-{context.now():%Y%m%d-%H%M%S}.zip", packed.getvalue())


async def build_report(context: RunbookContext, runbook: Runbook) -> dict[str, Any]:
    """Run the runbook and return the redacted report as JSON values."""
    result = await execution.run_checks(context, runbook)
    try:
        sections = await asyncio.gather(*(_collect(context, section) for section in runbook.evidence))
    finally:
        await context.close()
    values = configuration.effective_values(context.settings)
    report = {
        "runbook": runbook.slug,
        "title": runbook.title,
        "made_at": context.now(),
        "version": __version__,
        "python": platform.python_version(),
        "verdict": result.verdict,
        "cause": result.cause,
        "checks": result.checks,
        "fixes": [fix.label for fix in result.fixes],
        "evidence": dict(zip((section.title for section in runbook.evidence), sections, strict=True)),
        "settings": [f"{name}={values[name]}" for name in runbook.variables],
    }
    return (await load_redactor(context, report)).redact_value(report)


def render_markdown(report: dict[str, Any]) -> str:
    """Render a redacted report as Markdown."""
    lines = [f"# {report['title']}: {report['verdict']}", ""]
    lines += [f"Proofdesk {report['version']}, Python {report['python']}, {report['made_at']}.", ""]
    if report["cause"]:
        lines += [f"**Cause:** {report['cause']['message']} (check `{report['cause']['check']}`)", ""]
    lines += ["## Checks", "", "| | Check | Observed | Expected |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {c['status']} | {c['title']} | {_cell(c['observed'])} | {_cell(c['expected'])} |" for c in report["checks"]
    ]
    if report["fixes"]:
        lines += ["", "## Fixes", "", *(f"- {fix}" for fix in report["fixes"])]
    for title, content in report["evidence"].items():
        lines += ["", f"## {title}", "", "```json", json.dumps(content, ensure_ascii=False, indent=2), "```"]
    lines += ["", "## Settings", "", "```", *report["settings"], "```"]
    return "\n".join(lines) + "\n"


async def load_redactor(context: RunbookContext, report: dict[str, Any]) -> Redactor:
    """Return what redacts secrets, and the personal data of the project that occurs in the report."""
    if context.scope is None:
        return Redactor(context.settings)
    async with context.resources.db.scoped(context.scope) as conn:
        return Redactor(
            context.settings, await queries.list_personal_texts(conn, context.scope, "\n".join(iterate_strings(report)))
        )


async def _collect(context: RunbookContext, section: EvidenceSection) -> Any:
    try:
        async with asyncio.timeout(_COLLECT_SECONDS):
            return await section.collect(context)
    except CheckSkippedError as reason:
        return str(reason)
    except (ProofdeskError, TimeoutError) as error:
        return f"Could not be collected: {getattr(error, 'message', '') or 'no response in time'}"
    except Exception as error:
        log.exception("Collecting evidence failed.", title=section.title)
        return f"Could not be collected ({type(error).__name__})."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
