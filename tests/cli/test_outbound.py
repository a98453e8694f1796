"""Messages by command: drafted, approved by a person, sent to a relay, blocked by a policy."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from proofdesk_simulators.smtp import SmtpSimulator
from tests.support.terminal import Terminal

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def proofdesk(terminal: Terminal, tidy_url: str, mail_server: tuple[SmtpSimulator, str]) -> Command:
    """Return a function that runs a command against the test's database and the simulated relay."""
    environment = {
        "DATABASE_URL": tidy_url,
        "AUTH_PASSWORD": "a long enough password",
        "SMTP_URL": mail_server[1],
        "SMTP_FROM": "hello@kestrel.example",
    }

    def run(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return terminal(arguments, environment | more)

    assert run("project", "create", "Studio").returncode == 0
    return run


def parse(done: "subprocess.CompletedProcess[str]") -> Any:
    """Return the JSON that a command printed."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_message_from_draft_to_delivery(proofdesk: Command, relay: SmtpSimulator, owner_conn: psycopg.Connection):
    arguments = ("outbound", "draft", "email", "Ada@Example.com", "--text", "Hello Ada", "--key", "k1", "--json")
    drafted = parse(proofdesk(*arguments))
    assert (drafted["status"], drafted["recipient_ref"]) == ("draft", "ada@example.com")
    assert parse(proofdesk(*arguments))["id"] == drafted["id"]
    early = proofdesk("outbound", "send", drafted["id"])
    assert early.returncode == 1 and not relay.received
    assert proofdesk("outbound", "approve", drafted["id"]).returncode == 2, "a person approves"
    nobody = proofdesk("outbound", "approve", drafted["id"], "--as", "nobody")
    assert nobody.returncode == 1 and "nobody" in nobody.stderr
    approved = parse(proofdesk("outbound", "approve", drafted["id"], "--as", "owner", "--json"))
    assert (approved["status"], approved["approved_by"], approved["created_by"]) == ("approved", "owner", "system")
    assert parse(proofdesk("outbound", "process", "--json"))["sent"] == 1
    assert [t.recipients for t in relay.received] == [["ada@example.com"]]
    details = parse(proofdesk("outbound", "show", drafted["id"], "--json"))
    assert details["outbound"]["status"] == "sent" and len(details["attempts"]) == 1
    assert [e["action"] for e in details["history"]][:2] == ["outbound.draft", "outbound.approve"]
    assert parse(proofdesk("outbound", "list", "--status", "sent", "--json"))["total"] == 1
    assert "Hello Ada" in proofdesk("outbound", "show", drafted["id"]).stdout


def test_four_eyes_apply_to_commands(proofdesk: Command, relay: SmtpSimulator):
    drafted = parse(
        proofdesk("outbound", "draft", "email", "ada@example.com", "--text", "Hello", "--as", "owner", "--json")
    )
    edit = ("outbound", "edit", drafted["id"], "--text", "Hi", "--to", "Ari@example.com", "--as", "owner", "--json")
    edited = parse(proofdesk(*edit))
    assert (edited["payload"]["text"], edited["recipient_ref"]) == ("Hi", "ari@example.com")
    assert edited["payload"].get("subject") == drafted["payload"].get("subject")
    own = proofdesk("outbound", "approve", drafted["id"], "--as", "owner", OUTBOUND_FOUR_EYES="true")
    assert own.returncode == 1 and "Another person must approve" in own.stderr
    assert parse(proofdesk("outbound", "cancel", drafted["id"], "--as", "owner", "--json"))["cancelled_by"] == "owner"


def test_a_policy_set_by_command_blocks_a_message(proofdesk: Command, relay: SmtpSimulator):
    changed = parse(proofdesk("policy", "set", "ada@example.com", "email", "--opt-out", "--reason", "asked", "--json"))
    assert changed["opted_out"]
    drafted = parse(proofdesk("outbound", "draft", "email", "ada@example.com", "--text", "Hello", "--json"))
    proofdesk("outbound", "approve", drafted["id"], "--as", "owner")
    blocked = proofdesk("outbound", "send", drafted["id"])
    assert blocked.returncode == 1 and "opted out" in blocked.stderr and not relay.received
    back = proofdesk("policy", "set", "ada@example.com", "email", "--opt-in")
    assert back.returncode == 1 and "reason" in back.stderr
    policies = parse(proofdesk("policy", "show", "ada@example.com", "--json"))
    assert [(p["channel"], p["opted_out"]) for p in policies["policies"]] == [("email", True)]
    assert "ada@example.com" in proofdesk("policy", "set", "ada@example.com", "email", "--cap", "5").stdout
