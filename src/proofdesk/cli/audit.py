"""`audit`: prove that the record of what was done is whole, and write it out."""

import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import typer

from proofdesk.audit import chain
from proofdesk.audit.chain import ChainProof
from proofdesk.cli import app, machine, output
from proofdesk.cli.output import JsonOption
from proofdesk.errors import ProofdeskError
from proofdesk.jobs.resources import Resources
from proofdesk.projects import projects
from proofdesk.projects.queries import ProjectName
from proofdesk.projects.scope import ProjectNotFound

audit_app = typer.Typer(help="The record of what was done, which nobody can change.", no_args_is_help=True)
app.add_typer(audit_app, name="audit")

OneProject = Annotated[str | None, typer.Option("--project", "-p", help="Name or id; unset: every chain.")]


class ChainBroken(ProofdeskError):
    """A chain is not what was recorded."""

    code = "audit_chain_broken"


@audit_app.command("verify")
def verify(project: OneProject = None, json: JsonOption = False) -> None:
    """Work out every hash anew. Names the first event that was changed, removed or moved; exit status 1 then.

    Keep the last hashes elsewhere: a chain that still ends with one of them, or contains it, was not written anew.
    """

    async def command(held: Resources) -> list[ChainProof]:
        proofs = [await chain.verify(held.db, found, found.name) for found in await _chosen(held, project)]
        return proofs if project else [*proofs, await chain.verify(held.db, None)]

    proofs = machine.run_with_resources(command)
    if json:
        output.print_json([vars(p) for p in proofs])
    else:
        rows = [(p.chain, p.events, p.fault or "whole", p.last_hash) for p in proofs]
        output.print_table(("Chain", "Events", "State", "Last hash"), rows)
    broken = next((p for p in proofs if p.fault), None)
    if broken is not None:
        raise ChainBroken(f"The chain of {broken.chain} is broken. {broken.fault}")


@audit_app.command("export")
def export(
    project: OneProject = None,
    to: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; unset: standard output.")] = None,
) -> None:
    """Write events as lines of JSON, chain by chain, in order. Each line can be proved without Proofdesk."""

    async def command(held: Resources) -> int:
        chosen: list[ProjectName | None] = [*await _chosen(held, project)]
        return await _write(_lines(held, chosen if project else [*chosen, None]), to)

    written = machine.run_with_resources(command)
    output.print_note(f"Wrote {written} {'event' if written == 1 else 'events'}.")


async def _lines(held: Resources, chosen: list[ProjectName | None]) -> AsyncIterator[str]:
    for one in chosen:
        async for link in chain.read_links(held.db, one):
            yield json.dumps(chain.export_link(link), default=str, ensure_ascii=False)


async def _write(lines: AsyncIterator[str], to: Path | None) -> int:
    written = 0
    with to.open("w", encoding="utf-8") if to else contextlib.nullcontext(sys.stdout) as file:
        async for line in lines:
            file.write(line + "\n")
            written += 1
    return written


async def _chosen(held: Resources, project: str | None) -> list[ProjectName]:
    """All projects, archived ones too, or those of that name or id."""
    every = await projects.list_names(held.db)
    found = [c for c in every if project is None or project in (c.name, str(c.project_id))]
    if project is not None and not found:
        raise ProjectNotFound(f"There is no project {project!r}, nor was there one.")
    return found
