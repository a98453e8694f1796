"""`doctor`: run runbooks to find the cause of an incident, and write an evidence bundle."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from proofdesk.audit import events
from proofdesk.cli import app, environment, inspection, output
from proofdesk.cli.inspection import Inspected
from proofdesk.cli.output import JsonOption
from proofdesk.errors import Unavailable
from proofdesk.jobs.resources import Resources
from proofdesk.projects import projects
from proofdesk.projects import scope as project_scope
from proofdesk.projects.scope import Scope
from proofdesk.runbooks import bundle, execution, registry
from proofdesk.runbooks.checks import database
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import Runbook, RunbookResult

PROBLEM, INCOMPLETE = 1, 3
"""Exit status: a check failed; no check failed, but one did not end."""
_SIGNS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


@dataclasses.dataclass(frozen=True)
class ProjectResult:
    """The result of a runbook, and the name of its project; empty if it is about the whole installation."""

    project: str
    result: RunbookResult


@dataclasses.dataclass(frozen=True)
class _Subject:
    name: str
    context: RunbookContext


@app.command()
def doctor(
    slug: Annotated[str | None, typer.Argument(help="Name of the runbook. Default: all runbooks.")] = None,
    project: Annotated[
        str | None, typer.Option("--project", "-p", help="Name or id of the project. Default: all projects.")
    ] = None,
    outbound: Annotated[UUID | None, typer.Option(help="Id of the message, for the runbook outbound-blocked.")] = None,
    to: Annotated[
        Path | None, typer.Option("--evidence", help="Write the evidence bundle of the runbook to this zip file.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run checks and name the cause of an incident. Changes nothing.

    Exit status: 0 no check failed, 1 a check failed, 2 wrong usage, 3 no check failed but one did not end.
    """
    if to is not None and slug is None:
        raise typer.BadParameter("name the runbook of the evidence.", param_hint="--evidence")
    runbooks = [registry.get_runbook(slug)] if slug else registry.list_runbooks()
    with inspection.inspected_database() as inspected:
        results = asyncio.run(_run(inspected, runbooks, project, outbound, to))
    if json:
        output.print_json(_plain(results, single=slug is not None))
    else:
        output.print_line(f"Database: {inspected.database}", "dim")
        output.print_line(f"Configuration: {inspected.configuration}", "dim")
        _print_results(sorted(results, key=_order), all_checks=slug is not None)
    if to is not None:
        output.print_note(f"Wrote {to}.")
    if status := _exit_status([r.result for r in results]):
        raise typer.Exit(status)


async def _run(
    inspected: Inspected, runbooks: list[Runbook], project: str | None, outbound: UUID | None, to: Path | None
) -> list[ProjectResult]:
    async with inspection.inspecting_resources(inspected) as resources:
        subjects = await _subjects(resources, project, outbound)
        if to is not None:
            await asyncio.to_thread(
                to.write_bytes, (await bundle.build_bundle(subjects[0].context, runbooks[0])).content
            )
        results = list[ProjectResult]()
        for number, subject in enumerate(subjects):
            selected = [r for r in runbooks if r.per_project or number == 0]
            for runbook, result in zip(selected, await execution.run_all(subject.context, selected), strict=True):
                results.append(ProjectResult(subject.name if runbook.per_project else "", result))
        return results


async def _subjects(resources: Resources, project: str | None, outbound: UUID | None) -> list[_Subject]:
    """Return the projects to check; one without a scope if there is no project, which may be the problem."""
    actor = events.system_actor()

    def subject(name: str, scope: Scope | None) -> _Subject:
        return _Subject(name, RunbookContext(resources, actor, scope, outbound_id=outbound))

    if project is not None:
        return [subject("", await environment.enter_project(resources, project))]
    try:
        visible = await projects.list_visible(resources.db, actor)
        scopes = [await project_scope.enter(resources.db, actor, p.id) for p in visible]
    except Unavailable:
        return [subject("", None)]
    names = [p.name if len(visible) > 1 else "" for p in visible]
    return [subject(name, scope) for name, scope in zip(names, scopes, strict=True)] or [subject("", None)]


def _order(each: ProjectResult) -> bool:
    """Put the runbook first whose problems cause those of all others."""
    return each.result.slug != database.SLUG


def _exit_status(results: list[RunbookResult]) -> int:
    if any(result.cause for result in results):
        return PROBLEM
    return INCOMPLETE if any(result.incomplete for result in results) else 0


def _plain(results: list[ProjectResult], *, single: bool) -> Any:
    plain = [dataclasses.asdict(r.result) | {"project": r.project} for r in results]
    return plain[0] if single and len(plain) == 1 else plain


def _print_results(results: list[ProjectResult], *, all_checks: bool) -> None:
    """Print the causes first, then the checks: all of them, or only those that warn, fail or did not end."""
    for each in results:
        if each.result.cause:
            output.print_line(_headline(each), "bold red")
    for each in results:
        if not each.result.cause:
            output.print_line(_headline(each), "yellow" if each.result.incomplete else "green")
        elif not all_checks:
            output.print_line(f"{_title(each)}:")
        for check in each.result.checks:
            if check.status in ("fail", "warn") or (all_checks and check.status == "ok"):
                sign, style = _SIGNS[check.status]
                output.print_line(f"  {sign} {check.title}: {check.observed}", style)
        for reason, titles in _unchecked(each.result).items():
            output.print_line(f"  – Not checked: {', '.join(titles)}. {reason}", "dim")
        for fix in each.result.fixes:
            output.print_line(f"  → {fix.label}" + (f" ({fix.command})" if fix.command else ""))


def _unchecked(result: RunbookResult) -> dict[str, list[str]]:
    """Return the titles of the checks that had no result, by the reason."""
    by_reason: dict[str, list[str]] = {}
    for unchecked in result.unchecked:
        by_reason.setdefault(unchecked.reason, []).append(unchecked.title)
    return by_reason


def _headline(each: ProjectResult) -> str:
    return f"{_title(each)}: {each.result.summary}"


def _title(each: ProjectResult) -> str:
    return f"{each.project}: {each.result.title}" if each.project else each.result.title
