"""`doctor`: run runbooks to find the cause of an incident, and write an evidence bundle."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from proofdesk.audit import events
from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption, ProjectOption
from proofdesk.errors import NotFound
from proofdesk.jobs.resources import Resources
from proofdesk.projects.scope import Scope
from proofdesk.runbooks import bundle, registry
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import RunbookResult

_SIGNS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red"), "skip": ("–", "dim")}


@app.command()
def doctor(
    slug: Annotated[str | None, typer.Argument(help="Name of the runbook. Default: all runbooks.")] = None,
    project: ProjectOption = None,
    outbound: Annotated[UUID | None, typer.Option(help="Id of the message, for the runbook outbound-blocked.")] = None,
    to: Annotated[
        Path | None, typer.Option("--evidence", help="Write the evidence bundle of the runbook to this zip file.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run checks and name the cause of an incident. Changes nothing. Exit status is 1 if there is a problem."""
    if to is not None and slug is None:
        raise typer.BadParameter("name the runbook of the evidence.", param_hint="--evidence")
    runbooks = [registry.get_runbook(slug)] if slug else registry.list_runbooks()

    async def command(resources: Resources) -> list[RunbookResult]:
        scope = await _optional_scope(resources, project)
        if to is not None:
            zipped = await bundle.build_bundle(_context(resources, scope, outbound), runbooks[0])
            to.write_bytes(zipped.content)
        return [await registry.run_checks(_context(resources, scope, outbound), runbook) for runbook in runbooks]

    results = environment.run_with_resources(command)
    if json:
        output.print_json(_plain(results, single=slug is not None))
    else:
        _print_results(results, all_checks=slug is not None)
    if to is not None:
        output.print_note(f"Wrote {to}.")
    if any(result.cause for result in results):
        raise typer.Exit(1)


def _context(resources: Resources, scope: Scope | None, outbound: UUID | None) -> RunbookContext:
    return RunbookContext(resources, events.system_actor(), scope, outbound_id=outbound)


async def _optional_scope(resources: Resources, project: str | None) -> Scope | None:
    """Return the scope of the project, None if there is no project: that may be the problem."""
    try:
        return await environment.enter_project(resources, project)
    except NotFound:
        if project is not None:
            raise
        return None


def _plain(results: list[RunbookResult], *, single: bool) -> Any:
    plain = [dataclasses.asdict(result) for result in results]
    return plain[0] if single else plain


def _print_results(results: list[RunbookResult], *, all_checks: bool) -> None:
    """Print the causes first, then the checks: all of them, or only those that warn or fail."""
    for result in results:
        if result.cause:
            output.print_line(f"{result.title}: {result.cause.message}", "bold red")
    for result in results:
        if not result.cause:
            output.print_line(f"{result.title}: no problem found.", "green")
        for check in result.checks:
            if all_checks or check.status in ("fail", "warn"):
                sign, style = _SIGNS[check.status]
                output.print_line(f"  {sign} {check.title}: {check.observed}", style)
        for fix in result.fixes:
            output.print_line(f"  → {fix.label}" + (f" ({fix.command})" if fix.command else ""))
