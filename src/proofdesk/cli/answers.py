"""`ask`: a question from the terminal, answered with citations."""

from typing import Annotated

import msgspec
import typer

from proofdesk.answers import asking
from proofdesk.answers.answer import Answer, Citation
from proofdesk.answers.asking import AnswerRequest
from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption, ProjectOption
from proofdesk.jobs.resources import Resources


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="A question about the conversations of the project.")],
    project: ProjectOption = None,
    notes: Annotated[bool, typer.Option("--notes", help="Also cite private notes of agents.")] = False,
    json: JsonOption = False,
) -> None:
    """Answer a question with quotes of messages: who wrote what, and when."""

    async def command(resources: Resources) -> Answer:
        scope = await environment.enter_project(resources, project)
        return await asking.ask(resources.answering, scope, AnswerRequest(question, include_private=notes))

    answer = environment.run_with_resources(command)
    if json:
        return output.print_json(msgspec.to_builtins(answer))
    return print_answer(answer)


def print_answer(answer: Answer) -> None:
    """Print the sentences with their sources, or what is nearest."""
    if answer.message:
        output.print_line(answer.message)
        if answer.nearest:
            output.print_line("The nearest sentences:", "dim")
    for sentence in answer.sentences:
        output.print_line(" ".join(sentence.text.split()))
        for citation in sentence.citations:
            _print_citation(citation)
    for citation in answer.nearest:
        output.print_line(f"“{' '.join(citation.quote.split())}”")
        _print_citation(citation)
    for old in answer.superseded:
        output.print_line(f"Before that: “{' '.join(old.quote.split())}”", "dim")
    if answer.dropped:
        output.print_note(f"Dropped {answer.dropped} sentences that the messages do not support.")


def _print_citation(citation: Citation) -> None:
    author = f"{citation.sender_name or citation.sender_type} ({citation.sender_type})"
    output.print_line(f"    {author} · {citation.created_at:%Y-%m-%d %H:%M} · {citation.source_url or ''}", "dim")
