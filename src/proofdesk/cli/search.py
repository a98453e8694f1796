"""`search`: ask from the terminal."""

import dataclasses
from typing import Annotated, Literal

import typer

from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption, ProjectOption
from proofdesk.jobs.resources import Resources
from proofdesk.search import results
from proofdesk.search.results import SearchQuery, SearchResults


@app.command()
def search(
    query: str,
    project: ProjectOption = None,
    top: Annotated[int, typer.Option("--top", "-n", min=1, max=50, help="At most so many hits.")] = 10,
    mode: Annotated[str, typer.Option(help="hybrid, vector or text.", metavar="MODE")] = "hybrid",
    json: JsonOption = False,
) -> None:
    """Find messages by meaning and by words; every hit names author, time and link."""
    if mode not in ("hybrid", "vector", "text"):
        raise typer.BadParameter("hybrid, vector or text.", param_hint="--mode")
    chosen: Literal["hybrid", "vector", "text"] = mode

    async def command(held: Resources) -> SearchResults:
        inside = await environment.enter_project(held, project)
        question = SearchQuery(text=query, top_k=top, mode=chosen)
        return await results.search(held.db, inside, held.provider, held.settings, question)

    answer = environment.run_with_resources(command)
    if json:
        return output.print_json(dataclasses.asdict(answer))
    return show(answer)


def show(answer: SearchResults) -> None:
    """The hits as evidence, or why there are none."""
    if answer.degraded:
        output.print_note(f"Searched by words only: {answer.degraded}.")
    if answer.diagnosis:
        return output.print_line(f"Nothing found. {answer.diagnosis.message}")
    for number, hit in enumerate(answer.results, 1):
        who = f"{hit.sender_name or hit.sender_type} ({hit.sender_type})"
        output.print_line(f"{number:2}. {_marked(hit.snippet)}")
        output.print_line(f"    {who} · {hit.created_at:%Y-%m-%d %H:%M} · {hit.inbox_name} · {hit.source_url or ''}", "dim")
    return None


def _marked(snippet: str) -> str:
    return " ".join(snippet.replace("[[", "»").replace("]]", "«").split())
