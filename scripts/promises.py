"""The labelled conversations of promises: where they are, and how they get into a project of their own database.

The data is a folder with `conversations.jsonl`, the labels and `score.py`, named by PROOFDESK_PROMISES_DIR.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "var" / "eval-answers"
ACCOUNT, INBOX = 1, 1
Row = dict[str, Any]


def find_folder() -> Path | None:
    """Return the folder of the data, None after a message when there is none."""
    folder = Path(os.environ.get("PROOFDESK_PROMISES_DIR") or ROOT.parent / "shared" / "data" / "promises")
    if (folder / "conversations.jsonl").is_file():
        return folder
    print(f"There are no labelled conversations at {folder}. Set PROOFDESK_PROMISES_DIR to their folder.")
    return None


def read_rows(path: Path) -> list[Row]:
    """Return the objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def run_scorer(folder: Path, kind: str, predictions: Iterable[Row], *, errors: bool) -> int:
    """Print the scores of predictions with the script beside the data. Return its exit status."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in predictions)
        file.flush()
        command = [sys.executable, str(folder / "score.py"), kind, str(folder), file.name]
        return subprocess.run([*command, *(["--errors"] if errors else [])], check=False).returncode


async def store_conversations(db: Database, project_scope: Scope, conversations: Iterable[Row]) -> None:
    """Store conversations as a sync would: one contact each."""
    async with db.scoped(project_scope) as conn:
        base = {"p": project_scope.project_id, "s": project_scope.account_scope_id, "a": ACCOUNT, "inbox": INBOX}
        await conn.execute(_INBOX, base)
        for number, row in enumerate(conversations, 1):
            times = [datetime.fromisoformat(message["at"]) for message in row["messages"]]
            values = base | {"who": number, "c": number, "name": row["contact"]["name"], "at": times[-1]}
            await conn.execute(_CONTACT, values | {"email": row["contact"]["email"]})
            await conn.execute(_CONVERSATION, values)
            for message in row["messages"]:
                await conn.execute(_MESSAGE, values | message)


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
