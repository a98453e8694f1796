"""The bundle for whoever is to help: a report to paste into an issue, and the same as JSON."""

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
from proofdesk.runbooks import queries, registry
from proofdesk.runbooks.context import CheckSkippedError, RunbookContext
from proofdesk.runbooks.findings import EvidenceSection, Runbook
from proofdesk.runbooks.redaction import Redactor, iterate_strings

log = logging.get_logger(__name__)


@dataclass(frozen=True)
class EvidenceBundle:
    """A zip and what to call it."""

    name: str
    content: bytes


async def build_bundle(case: RunbookContext, runbook: Runbook) -> EvidenceBundle:
    """Run the runbook and pack what was found with what belongs to it; secrets and personal data are taken out."""
    report = await build_report(case, runbook)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("report.md", render_markdown(report))
        archive.writestr("report.json", json.dumps(report, ensure_ascii=False, indent=2))
    return EvidenceBundle(f"{runbook.slug}-{case.now():%Y%m%d-%H%M%S}.zip", packed.getvalue())


async def build_report(case: RunbookContext, runbook: Runbook) -> dict[str, Any]:
    """The report as JSON, masked."""
    result = await registry.run_checks(case, runbook)
    try:
        sections = await asyncio.gather(*(_exhibit(case, exhibit) for exhibit in runbook.evidence))
    finally:
        await case.close()
    shown = configuration.effective_values(case.settings)
    report = {
        "runbook": runbook.slug,
        "title": runbook.title,
        "made_at": case.now(),
        "version": __version__,
        "python": platform.python_version(),
        "verdict": result.verdict,
        "cause": result.cause,
        "checks": result.checks,
        "fixes": [fix.label for fix in result.fixes],
        "evidence": dict(zip((exhibit.title for exhibit in runbook.evidence), sections, strict=True)),
        "settings": [f"{name}={shown[name]}" for name in runbook.variables],
    }
    return (await _mask(case, report)).redact_value(report)


def render_markdown(report: dict[str, Any]) -> str:
    """A masked report for people."""
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


async def _exhibit(case: RunbookContext, exhibit: EvidenceSection) -> Any:
    try:
        async with asyncio.timeout(registry.CHECK_TIMEOUT_SECONDS):
            return await exhibit.collect(case)
    except CheckSkippedError as reason:
        return str(reason)
    except (ProofdeskError, TimeoutError) as error:
        return f"Could not be gathered: {getattr(error, 'message', '') or 'no answer in time'}"
    except Exception as error:
        log.exception("evidence crashed", title=exhibit.title)
        return f"Could not be gathered ({type(error).__name__})."


async def _mask(case: RunbookContext, report: dict[str, Any]) -> Redactor:
    if case.scope is None:
        return Redactor(case.settings)
    async with case.resources.db.scoped(case.scope) as conn:
        return Redactor(case.settings, await queries.list_personal_texts(conn, case.scope, "\n".join(iterate_strings(report))))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
