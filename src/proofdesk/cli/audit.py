"""`audit`: verify the audit chains, and export them."""

import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import typer

from proofdesk.audit import chain
from proofdesk.audit.chain import ChainProof
from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption
from proofdesk.errors import ProofdeskError
from proofdesk.jobs.resources import Resources
from proofdesk.projects import projects
from proofdesk.projects.queries import ProjectName
from proofdesk.projects.scope import ProjectNotFound

audit_app = typer.Typer(help="The audit log, which nobody can change unnoticed.", no_args_is_help=True)
app.add_typer(audit_app, name="audit")

ChainOption = Annotated[
    str | None, typer.Option("--project", "-p", help="Name or id of the project. Default: every chain.")
]


class ChainBroken(ProofdeskError):
    """A chain differs from what was recorded."""

    code = "audit_chain_broken"


@audit_app.command("verify")
def verify(project: ChainOption = None, json: JsonOption = False) -> None:
    """Compute every hash again. Name the first event that was changed, removed or moved; exit status is then 1.

    Keep the last hashes in another place: a chain that still contains one of them was not rewritten.
    """

    async def command(resources: Resources) -> list[ChainProof]:
        names = await _project_names(resources, project)
        proofs = [await chain.verify(resources.db, name, name.name) for name in names]
        return proofs if project else [*proofs, await chain.verify(resources.db, None)]

    proofs = environment.run_with_resources(command)
    if json:
        output.print_json([vars(p) for p in proofs])
    else:
        rows = [(p.chain, p.events, p.fault or "intact", p.last_hash) for p in proofs]
        output.print_table(("Chain", "Events", "State", "Last hash"), rows)
    broken = next((p for p in proofs if p.fault), None)
    if broken is not None:
        raise ChainBroken(f"The chain of {broken.chain} is broken. {broken.fault}")


@audit_app.command("export")
def export(
    project: ChainOption = None,
    to: Annotated[Path | None, typer.Option("--output", "-o", help="File to write. Default: standard output.")] = None,
) -> None:
    """Write the events as JSON lines, chain by chain, in order. Each line can be verified without Proofdesk."""

    async def command(resources: Resources) -> int:
        chains: list[ProjectName | None] = [*await _project_names(resources, project)]
        return await _write(_lines(resources, chains if project else [*chains, None]), to)

    written = environment.run_with_resources(command)
    output.print_note(f"Wrote {output.count(written, 'event')}.")


async def _lines(resources: Resources, chains: list[ProjectName | None]) -> AsyncIterator[str]:
    for project in chains:
        async for link in chain.read_links(resources.db, project):
            yield json.dumps(chain.export_link(link), default=str, ensure_ascii=False)


async def _write(lines: AsyncIterator[str], to: Path | None) -> int:
    written = 0
    with to.open("w", encoding="utf-8") if to else contextlib.nullcontext(sys.stdout) as file:
        async for line in lines:
            file.write(line + "\n")
            written += 1
    return written


async def _project_names(resources: Resources, project: str | None) -> list[ProjectName]:
    """Return the projects with that name or id, or all; archived ones too."""
    names = await projects.list_names(resources.db)
    matches = [n for n in names if project is None or project in (n.name, str(n.project_id))]
    if project is not None and not matches:
        raise ProjectNotFound(f"There is no project {project!r}, not even an archived one.")
    return matches
