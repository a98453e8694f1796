"""`search`: search from the terminal."""

import dataclasses
from typing import Annotated, cast, get_args

import typer

from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption, ProjectOption
from proofdesk.jobs.resources import Resources
from proofdesk.search import results
from proofdesk.search.query import DEFAULT_HITS, MAX_HITS, SearchMode, SearchQuery, validate_query
from proofdesk.search.results import SearchResults


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="Words or a question to search for.")],
    project: ProjectOption = None,
    top: Annotated[
        int, typer.Option("--top", "-n", min=1, max=MAX_HITS, help="Maximum number of hits.")
    ] = DEFAULT_HITS,
    mode: Annotated[str, typer.Option(help="hybrid, vector or text.", metavar="MODE")] = "hybrid",
    json: JsonOption = False,
) -> None:
    """Search messages by keyword and by embedding. Each hit shows its author, time and link."""
    if mode not in get_args(SearchMode):
        raise typer.BadParameter("hybrid, vector or text.", param_hint="--mode")

    async def command(resources: Resources) -> SearchResults:
        scope = await environment.enter_project(resources, project)
        search_query = SearchQuery(text=validate_query(query), top_k=top, mode=cast("SearchMode", mode))
        return await results.search(resources.db, scope, resources.provider, resources.settings, search_query)

    search_results = environment.run_with_resources(command)
    if json:
        return output.print_json(dataclasses.asdict(search_results))
    return print_hits(search_results)


def print_hits(search_results: SearchResults) -> None:
    """Print the hits, strong ones first, and why none is strong."""
    if search_results.degraded:
        output.print_note(f"Searched by keyword only: {search_results.degraded}.")
    for hint in search_results.hints:
        output.print_note(hint)
    if search_results.diagnosis:
        lead = "" if search_results.results else "No hits. "
        output.print_line(lead + search_results.diagnosis.message)
    for number, hit in enumerate(search_results.results, 1):
        author = f"{hit.sender_name or hit.sender_type} ({hit.sender_type})"
        source = f"{author} · {hit.created_at:%Y-%m-%d %H:%M} · {hit.inbox_name} · {hit.source_url or ''}"
        output.print_line(f"{number:2}. {_highlighted(hit.snippet)}{' (weak)' * (hit.relevance == 'weak')}")
        output.print_line(f"    {source}", "dim")


def _highlighted(snippet: str) -> str:
    return " ".join(snippet.replace("[[", "»").replace("]]", "«").split())
