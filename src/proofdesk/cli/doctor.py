"""`doctor`: find the cause of an incident, and pack the evidence."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from proofdesk.audit import events
from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption, ProjectOption
from proofdesk.errors import NotFound, ProofdeskError
from proofdesk.jobs.resources import Resources
from proofdesk.projects.scope import Scope
from proofdesk.runbooks import bundle, registry
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import RunbookResult

_SIGNS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red"), "skip": ("–", "dim")}


class ProblemFound(ProofdeskError):
    """Some runbook found a cause."""

    code = "problem_found"


@app.command()
def doctor(
    slug: Annotated[str | None, typer.Argument(help="Name of the runbook; unset: all of them.")] = None,
    project: ProjectOption = None,
    outbound: Annotated[UUID | None, typer.Option(help="The message that outbound-blocked is about.")] = None,
    to: Annotated[
        Path | None, typer.Option("--evidence", help="Write the evidence of the runbook to this zip.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Find the cause of an incident: looks at the real thing and changes nothing. Exit status 1 on a problem."""
    if to is not None and slug is None:
        raise typer.BadParameter("name the runbook whose evidence is wanted.", param_hint="--evidence")
    runbooks = [registry.get_runbook(slug)] if slug else registry.list_runbooks()

    async def command(held: Resources) -> list[RunbookResult]:
        inside = await _inside(held, project)
        if to is not None:
            packed = await bundle.build_bundle(_case(held, inside, outbound), runbooks[0])
            to.write_bytes(packed.content)
        return [await registry.run_checks(_case(held, inside, outbound), runbook) for runbook in runbooks]

    found = environment.run_with_resources(command)
    if json:
        output.print_json(_plain(found, one=slug is not None))
    else:
        _show(found, in_full=slug is not None)
    if to is not None:
        output.print_note(f"Wrote {to}.")
    if any(diagnosis.cause for diagnosis in found):
        raise typer.Exit(1)


def _case(held: Resources, inside: Scope | None, outbound: UUID | None) -> RunbookContext:
    return RunbookContext(held, events.system_actor(), inside, outbound_id=outbound)


async def _inside(held: Resources, project: str | None) -> Scope | None:
    """The project, as other commands find it; that there is none may be what is wrong."""
    try:
        return await environment.enter_project(held, project)
    except NotFound:
        if project is not None:
            raise
        return None


def _plain(found: list[RunbookResult], *, one: bool) -> Any:
    told = [dataclasses.asdict(diagnosis) for diagnosis in found]
    return told[0] if one else told


def _show(found: list[RunbookResult], *, in_full: bool) -> None:
    """Causes first, then what was looked at: everything, or what is not well when all runbooks were run."""
    for diagnosis in found:
        if diagnosis.cause:
            output.print_line(f"{diagnosis.title}: {diagnosis.cause.message}", "bold red")
    for diagnosis in found:
        if not diagnosis.cause:
            output.print_line(f"{diagnosis.title}: nothing is wrong.", "green")
        for check in diagnosis.checks:
            if in_full or check.status in ("fail", "warn"):
                sign, style = _SIGNS[check.status]
                output.print_line(f"  {sign} {check.title}: {check.observed}", style)
        for fix in diagnosis.fixes:
            output.print_line(f"  → {fix.label}" + (f" ({fix.command})" if fix.command else ""))
