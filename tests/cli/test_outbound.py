"""Messages from the terminal: drafted, approved by a person, sent to a relay, held back by a policy."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from proofdesk.simulators.smtp import Simulator

Command = Callable[..., "Done"]


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    status: int
    output: str
    errors: str


@pytest.fixture
def proofdesk(tidy_url: str, mail_server: tuple[Simulator, str]) -> Iterator[Command]:
    """Runs commands against the test's database and the simulated relay, all in one process beside this one."""
    environment = {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "DATABASE_URL": tidy_url,
        "AUTH_PASSWORD": "a long enough password",
        "SMTP_URL": mail_server[1],
        "SMTP_FROM": "hello@kestrel.example",
    }
    command = [sys.executable, "-m", "tests.cli.conversing"]
    root = Path(__file__).parent.parent.parent
    with subprocess.Popen(
        command, env=environment, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        asked, answered = process.stdin, process.stdout

        def run(*arguments: str, **more: str | None) -> Done:
            asked.write(json.dumps({"arguments": arguments, "environment": more}) + "\n")
            asked.flush()
            return Done(*json.loads(answered.readline()))

        assert run("project", "create", "Studio").status == 0
        yield run
        asked.close()


def told(done: Done) -> Any:
    """What a command said, as JSON."""
    assert done.status == 0, done.errors
    return json.loads(done.output)


def test_a_message_from_draft_to_delivery(proofdesk: Command, relay: Simulator, owner_conn: psycopg.Connection):
    wish = ("outbound", "draft", "email", "Ada@Example.com", "--text", "Hello Ada", "--key", "k1", "--json")
    drafted = told(proofdesk(*wish))
    assert (drafted["status"], drafted["recipient_ref"]) == ("draft", "ada@example.com")
    assert told(proofdesk(*wish))["id"] == drafted["id"]
    early = proofdesk("outbound", "send", drafted["id"])
    assert early.status == 1 and not relay.taken
    assert proofdesk("outbound", "approve", drafted["id"]).status == 2, "a person approves"
    nobody = proofdesk("outbound", "approve", drafted["id"], "--as", "nobody")
    assert nobody.status == 1 and "nobody" in nobody.errors
    approved = told(proofdesk("outbound", "approve", drafted["id"], "--as", "owner", "--json"))
    assert (approved["status"], approved["approved_by"], approved["created_by"]) == ("approved", "owner", "system")
    assert told(proofdesk("outbound", "process", "--json"))["sent"] == 1
    assert [t.recipients for t in relay.taken] == [["ada@example.com"]]
    found = told(proofdesk("outbound", "show", drafted["id"], "--json"))
    assert found["outbound"]["status"] == "sent" and len(found["attempts"]) == 1
    assert [e["action"] for e in found["history"]][:2] == ["outbound.draft", "outbound.approve"]
    assert told(proofdesk("outbound", "list", "--status", "sent", "--json"))["total"] == 1
    assert "Hello Ada" in proofdesk("outbound", "show", drafted["id"]).output


def test_four_eyes_hold_at_the_terminal_too(proofdesk: Command, relay: Simulator):
    drafted = told(
        proofdesk("outbound", "draft", "email", "ada@example.com", "--text", "Hello", "--as", "owner", "--json")
    )
    own = proofdesk("outbound", "approve", drafted["id"], "--as", "owner", OUTBOUND_FOUR_EYES="true")
    assert own.status == 1 and "Somebody else" in own.errors
    assert told(proofdesk("outbound", "cancel", drafted["id"], "--as", "owner", "--json"))["cancelled_by"] == "owner"


def test_a_policy_set_at_the_terminal_holds_a_message_back(proofdesk: Command, relay: Simulator):
    changed = told(proofdesk("policy", "set", "ada@example.com", "email", "--opt-out", "--reason", "asked", "--json"))
    assert changed["opted_out"]
    drafted = told(proofdesk("outbound", "draft", "email", "ada@example.com", "--text", "Hello", "--json"))
    proofdesk("outbound", "approve", drafted["id"], "--as", "owner")
    blocked = proofdesk("outbound", "send", drafted["id"])
    assert blocked.status == 1 and "opted out" in blocked.errors and not relay.taken
    back = proofdesk("policy", "set", "ada@example.com", "email", "--opt-in")
    assert back.status == 1 and "reason" in back.errors
    shown = told(proofdesk("policy", "show", "ada@example.com", "--json"))
    assert [(p["channel"], p["opted_out"]) for p in shown["policies"]] == [("email", True)]
    assert "ada@example.com" in proofdesk("policy", "set", "ada@example.com", "email", "--cap", "5").output
