"""Measure answers: labelled questions about labelled conversations, through the real tables, search and answers.

    make eval                         (or: python scripts/eval_answers.py [--errors])

`promises.py` says where the data is.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import promises

from proofdesk.answers import asking
from proofdesk.answers.asking import AnswerRequest, AnswerTools
from proofdesk.audit.events import system_actor
from proofdesk.database import embedded, migrate
from proofdesk.database.pool import Database, open_database
from proofdesk.indexing import vectors
from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.embeddings import factory
from proofdesk.indexing.incremental import index_conversations
from proofdesk.jobs import new_projects
from proofdesk.projects import scope
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings

SETTINGS = Settings(embedding_provider="local")


def main() -> int:
    """Load the conversations, ask the questions, print the scores. Return 0 also when there is no data."""
    parser = argparse.ArgumentParser(description="Measure answers on labelled questions.")
    parser.add_argument("--errors", action="store_true", help="also print what is wrong")
    arguments = parser.parse_args()
    folder = promises.find_folder()
    if folder is None:
        return 0
    return promises.run_scorer(folder, "answers", asyncio.run(_evaluate(folder)), errors=arguments.errors)


async def _evaluate(folder: Path) -> list[dict[str, Any]]:
    with embedded.running_server(promises.HOME) as url:
        migrate.migrate(url)
        async with open_database(url, 4) as db:
            project = await new_projects.create(db, system_actor(), f"Promises {time.time():.0f}")
            project_scope = await scope.enter(db, system_actor(), project.id)
            await _load(db, project_scope, folder)
            tools = AnswerTools(db, factory.open_provider(SETTINGS), SETTINGS)
            return [await _ask(tools, project_scope, row) for row in promises.read_rows(folder / "questions.jsonl")]


async def _ask(tools: AnswerTools, project_scope: Scope, row: dict[str, Any]) -> dict[str, Any]:
    answer = await asking.ask(tools, project_scope, AnswerRequest(row["question"]))
    cited = [(s.text, [(c.message_global_id, c.quote) for c in s.citations]) for s in answer.sentences]
    cited += [(s.quote, [(s.message_global_id, s.quote)]) for s in answer.superseded]
    return {
        "question_id": row["question_id"],
        "abstained": answer.status == "abstained",
        "sentences": [
            {"text": text, "citations": [{"message_id": int(m.rpartition(":")[2]), "quote": q} for m, q in citations]}
            for text, citations in cited
        ],
    }


async def _load(db: Database, project_scope: Scope, folder: Path) -> None:
    await promises.store_conversations(db, project_scope, promises.read_rows(folder / "conversations.jsonl"))
    await index_conversations(db, project_scope, ChunkLimits.from_settings(SETTINGS))
    provider = factory.open_provider(SETTINGS)
    await vectors.embed_pending(db, project_scope, provider, vectors.EmbeddingOptions.from_settings(SETTINGS))


if __name__ == "__main__":
    sys.exit(main())
