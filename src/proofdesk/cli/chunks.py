"""`chunk`: chunks that failed to be embedded."""

from typing import Annotated

import typer

from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption, ProjectOption
from proofdesk.indexing import failed_chunks, vectors
from proofdesk.indexing.failed_chunks import FailedChunk
from proofdesk.jobs.resources import Resources

chunk_app = typer.Typer(help="Chunks that failed to be embedded.", no_args_is_help=True)
app.add_typer(chunk_app, name="chunk")


@chunk_app.command("list")
def list_chunks(project: ProjectOption = None, json: JsonOption = False) -> None:
    """List failed chunks with their message and the reason."""

    async def command(resources: Resources) -> list[FailedChunk]:
        scope = await environment.enter_project(resources, project)
        return await failed_chunks.list_failed(resources.db, scope)

    chunks = environment.run_with_resources(command)
    if json:
        return output.print_json({"chunks": [vars(chunk) for chunk in chunks]})
    return output.print_table(("Chunk", "Reason", "Skipped"), [(c.id, c.error, c.skipped_at) for c in chunks])


@chunk_app.command("retry")
def retry_chunk(
    chunk: Annotated[str | None, typer.Argument(help="Id of the chunk. Default: all that are not skipped.")] = None,
    project: ProjectOption = None,
) -> None:
    """Let the next Embeddings job try again."""

    async def command(resources: Resources) -> int:
        scope = await environment.enter_project(resources, project)
        if chunk is None:
            return await vectors.retry_failed(resources.db, scope)
        await failed_chunks.retry(resources.db, scope, chunk)
        return 1

    output.print_line(f"{output.count(environment.run_with_resources(command), 'chunk')} will be embedded again.")


@chunk_app.command("skip")
def skip_chunk(chunk: Annotated[str, typer.Argument(help="Id of the chunk.")], project: ProjectOption = None) -> None:
    """Leave a chunk without an embedding. Keywords still find it."""

    async def command(resources: Resources) -> None:
        await failed_chunks.skip(resources.db, await environment.enter_project(resources, project), chunk)

    environment.run_with_resources(command)
    output.print_line("Skipped.")
