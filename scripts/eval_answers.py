"""Measure answers: labelled questions about labelled conversations, through the real tables, search and answers.

    make eval                         (or: python scripts/eval_answers.py [--errors])

The data is a folder with `conversations.jsonl`, `questions.jsonl` and `score.py`, named by PROOFDESK_PROMISES_DIR.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

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

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "var" / "eval-answers"
SETTINGS = Settings(embedding_provider="local")
ACCOUNT, INBOX = 1, 1


def main() -> int:
    """Load the conversations, ask the questions, print the scores. Return 0 also when there is no data."""
    parser = argparse.ArgumentParser(description="Measure answers on labelled questions.")
    parser.add_argument("--errors", action="store_true", help="also print what is wrong")
    arguments = parser.parse_args()
    folder = Path(os.environ.get("PROOFDESK_PROMISES_DIR") or ROOT.parent / "shared" / "data" / "promises")
    if not (folder / "questions.jsonl").is_file():
        print(f"There are no questions at {folder}. Set PROOFDESK_PROMISES_DIR to their folder.")
        return 0
    answers = asyncio.run(_evaluate(folder))
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(json.dumps(answer, ensure_ascii=False) + "\n" for answer in answers)
        file.flush()
        command = [sys.executable, str(folder / "score.py"), "answers", str(folder), file.name]
        return subprocess.run([*command, *(["--errors"] if arguments.errors else [])], check=False).returncode


async def _evaluate(folder: Path) -> list[dict[str, Any]]:
    with embedded.running_server(HOME) as url:
        migrate.migrate(url)
        async with open_database(url, 4) as db:
            project = await new_projects.create(db, system_actor(), f"Promises {time.time():.0f}")
            project_scope = await scope.enter(db, system_actor(), project.id)
            await _load(db, project_scope, folder)
            tools = AnswerTools(db, factory.open_provider(SETTINGS), SETTINGS)
            return [await _ask(tools, project_scope, row) for row in _rows(folder / "questions.jsonl")]


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


# Loading --------------------------------------------------------------------------------------------------------------


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


async def _load(db: Database, project_scope: Scope, folder: Path) -> None:
    async with db.scoped(project_scope) as conn:
        base = {"p": project_scope.project_id, "s": project_scope.account_scope_id, "a": ACCOUNT, "inbox": INBOX}
        await conn.execute(_INBOX, base)
        for number, row in enumerate(_rows(folder / "conversations.jsonl"), 1):
            times = [datetime.fromisoformat(message["at"]) for message in row["messages"]]
            values = base | {"who": number, "c": number, "name": row["contact"]["name"], "at": times[-1]}
            await conn.execute(_CONTACT, values | {"email": row["contact"]["email"]})
            await conn.execute(_CONVERSATION, values)
            for message in row["messages"]:
                await conn.execute(_MESSAGE, values | message)
    await index_conversations(db, project_scope, ChunkLimits.from_settings(SETTINGS))
    provider = factory.open_provider(SETTINGS)
    await vectors.embed_pending(db, project_scope, provider, vectors.EmbeddingOptions.from_settings(SETTINGS))


_INBOX = "INSERT INTO cw_inboxes VALUES (%(p)s, %(s)s, %(a)s, %(inbox)s, 'Inbox', 'Channel::WebWidget')"
_CONTACT = """
    INSERT INTO cw_contacts (project_id, account_scope_id, account_id, contact_id, name, email, blocked,
        additional_attributes, custom_attributes)
    VALUES (%(p)s, %(s)s, %(a)s, %(who)s, %(name)s, %(email)s, false, '{}', '{}')"""
_CONVERSATION = """
    INSERT INTO cw_conversations (project_id, account_scope_id, account_id, conversation_id, inbox_id, contact_id,
        status, labels, additional_attributes, custom_attributes, last_activity_at, created_at, updated_at, read_mark)
    VALUES (%(p)s, %(s)s, %(a)s, %(c)s, %(inbox)s, %(who)s, 'open', '{}', '{}', '{}', %(at)s, %(at)s, %(at)s, 'read')"""
_MESSAGE = """
    INSERT INTO cw_messages (project_id, account_scope_id, account_id, message_id, conversation_id, inbox_id,
        message_type, content_type, content, private, deleted, sender_type, sender_name, content_attributes,
        attachments, created_at)
    VALUES (%(p)s, %(s)s, %(a)s, %(message_id)s, %(c)s, %(inbox)s,
        CASE %(sender)s WHEN 'contact' THEN 'incoming' WHEN 'agent' THEN 'outgoing' ELSE 'activity' END, 'text',
        %(text)s, %(private)s, false, %(sender)s, %(sender_name)s, '{}', '[]', %(at)s)"""


if __name__ == "__main__":
    sys.exit(main())
