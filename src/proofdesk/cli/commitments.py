"""`commitments`: the register in the terminal."""

from typing import Annotated

import msgspec
import typer

from proofdesk.cli import app, environment, output
from proofdesk.cli.jobs import run_job
from proofdesk.cli.output import JsonOption, ProjectOption
from proofdesk.commitments import register
from proofdesk.commitments.commitment_queries import ACTIVE, Commitment
from proofdesk.jobs import catalog
from proofdesk.jobs.resources import Resources


@app.command()
def commitments(
    project: ProjectOption = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those whose day has passed.")] = False,
    owner: Annotated[str | None, typer.Option(help="`us` or `contact`: the side that is bound.")] = None,
    state: Annotated[
        str | None, typer.Option(help="One or several states, separated by commas. Default: proposed,open.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Maximum number of commitments.")] = 50,
    extract: Annotated[bool, typer.Option("--extract", help="Read new messages first.")] = False,
    json: JsonOption = False,
) -> None:
    """List what was promised, by whom and by when: overdue first."""

    async def command(resources: Resources) -> tuple[list[Commitment], int]:
        scope = await environment.enter_project(resources, project)
        if extract:
            await run_job(resources, scope, catalog.COMMITMENTS.name, "Commitments", shown=not json)
        wanted = register.build_filter(state=state or ",".join(ACTIVE), owner=owner, overdue=overdue or None)
        timezone = resources.settings.project_timezone
        return await register.list_commitments(resources.db, scope, wanted, timezone, limit, 0)

    rows, total = environment.run_with_resources(command)
    if json:
        return output.print_json({"commitments": msgspec.to_builtins(rows), "total": total})
    if not rows:
        return output.print_line("No matching commitments. `proofdesk commitments --extract` reads new messages.")
    headings = ("Due", "State", "By", "Contact", "Promise")
    output.print_table(headings, [_cells(row) for row in rows])
    if total > len(rows):
        output.print_note(f"{total - len(rows)} more. Raise --limit to see them.")
    return None


def _cells(row: Commitment) -> tuple[object, ...]:
    due = "–" if row.due is None else f"{row.due}{' overdue' if row.overdue else ''}"
    return due, row.state, "us" if row.by == "us" else "contact", row.contact_name, row.what
