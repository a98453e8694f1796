"""Commands, each in its own process, for people and for programs."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from proofdesk_simulators.chatwoot import ChatwootSimulator, build, create_app
from proofdesk_simulators.serving import running
from tests.support.audit_events import tamper_with_events
from tests.support.terminal import Terminal

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def studio() -> Iterator[ChatwootSimulator]:
    """The sample studio."""
    simulator = build("studio")
    yield simulator
    simulator.close()


@pytest.fixture
def proofdesk(terminal: Terminal, studio: ChatwootSimulator, tidy_url: str) -> Iterator[Command]:
    """Return a function that runs a command against the test's database and the sample studio."""
    with running(create_app(studio)) as base_url:
        environment = {
            "DATABASE_URL": tidy_url,
            "CHATWOOT_BASE_URL": base_url,
            "CHATWOOT_API_TOKEN": studio.admin_token,
            "CHATWOOT_ACCOUNT_ID": "1",
            "AUTH_PASSWORD": "a long enough password",
        }
        yield lambda *arguments, **more: terminal(arguments, environment | more)


def test_sync_embed_search_and_reconcile_by_hand(proofdesk: Command, studio: ChatwootSimulator):
    assert proofdesk("project", "create", "Agency").returncode == 0
    synced = proofdesk("sync", "--json")
    assert synced.returncode == 0, synced.stderr
    assert json.loads(synced.stdout)["result"]["messages"] == studio.truth(rows=False)["counts"]["messages"]
    embedded = json.loads(proofdesk("embed", "--json").stdout)
    assert embedded["result"]["failed"] == 0
    results = json.loads(proofdesk("search", "invoice", "--json").stdout)
    assert results["results"]
    printed = proofdesk("search", "invoice")
    assert printed.returncode == 0
    assert "/conversations/" in printed.stdout
    reconciled = proofdesk("reconcile")
    assert "Complete: both sides agree." in reconciled.stdout


def test_quarantined_items_are_shown_with_their_reason(proofdesk: Command, studio: ChatwootSimulator):
    proofdesk("project", "create", "Agency")
    bad = studio.append_message(101, "half an emoji \ud83d")
    done = proofdesk("sync")
    assert done.returncode == 0, done.stderr
    assert str(bad.id) in done.stdout
    assert "half a surrogate pair" in done.stdout


def test_names_cannot_reorder_a_line_of_the_terminal(proofdesk: Command, studio: ChatwootSimulator):
    name = "Eve\u202egpj.exe\u2067\x1b[7m [/b]"
    proofdesk("project", "create", f"Agency {name}")
    studio.account().inboxes[1].name = name
    studio.create_conversation(1, contact_name=name, content="My zeppelin is late \u202e[/b]")
    commands = [proofdesk(*command) for command in (("sync",), ("project", "list"), ("search", "zeppelin"))]
    assert all(done.returncode == 0 for done in commands), [done.stderr for done in commands]
    assert "Agency Evegpj.exe[7m [/b]" in commands[1].stdout and "· Evegpj.exe[7m [/b] ·" in commands[2].stdout
    wrong = proofdesk("source", "list", "-p", name)
    assert wrong.returncode == 1 and "Eve" in wrong.stderr
    for text in [done.stdout + done.stderr for done in (*commands, wrong)]:
        assert not set(text) & {*"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\x1b"}
    listed = proofdesk("project", "list", "--json").stdout
    assert "\u202e" not in listed and json.loads(listed)[0]["name"] == f"Agency {name}"


def test_an_error_is_one_line_with_exit_status_1(proofdesk: Command):
    done = proofdesk("sync")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "proofdesk project create" in done.stderr


def test_wrong_usage_has_exit_status_2(proofdesk: Command):
    assert proofdesk("sync", "--nonsense").returncode == 2
    assert proofdesk("search", "x", "--mode", "magic").returncode == 2


def test_an_invalid_setting_is_reported_with_its_allowed_values(proofdesk: Command):
    done = proofdesk("config", PORT="eighty")
    assert done.returncode == 1
    assert "PORT='eighty'" in done.stderr
    assert "integer" in done.stderr


def test_secrets_are_masked(proofdesk: Command, studio: ChatwootSimulator):
    for arguments in (("config",), ("config", "--json")):
        done = proofdesk(*arguments, OPENAI_API_KEY="sk-very-secret", OPENAI_BASE_URL="http://127.0.0.1:1")
        assert done.returncode == 0, done.stderr
        assert studio.admin_token not in done.stdout
        assert "sk-very-secret" not in done.stdout


def test_a_rejected_token_names_endpoint_and_account(proofdesk: Command, studio: ChatwootSimulator):
    proofdesk("project", "create", "Agency")
    done = proofdesk("sync", CHATWOOT_API_TOKEN="wrong")
    assert done.returncode == 1
    assert "/api/v1/accounts/1/inboxes" in done.stderr
    assert "CHATWOOT_API_TOKEN" in done.stderr


def test_sources_are_bound_and_listed(proofdesk: Command):
    proofdesk("project", "create", "Agency")
    assert proofdesk("source", "bind", "1:2").returncode == 0
    again = proofdesk("source", "bind", "1:2")
    assert (again.returncode, "already" in again.stderr) == (1, True)
    listed = json.loads(proofdesk("source", "list", "--json").stdout)
    assert [(s["source_kind"], s["external_id"]) for s in listed] == [("chatwoot_inbox", "1:2")]


def test_with_several_projects_the_option_is_required(proofdesk: Command):
    for name in ("First", "Second"):
        proofdesk("project", "create", name)
    done = proofdesk("source", "list")
    assert (done.returncode, "--project" in done.stderr) == (1, True)
    assert proofdesk("source", "list", "-p", "First").returncode == 0


def test_users_members_and_sources_are_managed(proofdesk: Command):
    proofdesk("project", "create", "Agency")
    assert proofdesk("user", "create", "amina", "--password", "long enough pw").returncode == 0
    assert proofdesk("project", "member", "add", "amina").returncode == 0
    assert [m["username"] for m in json.loads(proofdesk("project", "member", "list", "--json").stdout)] == ["amina"]
    assert proofdesk("project", "member", "remove", "amina").returncode == 0
    assert proofdesk("project", "member", "remove", "amina").returncode == 1
    assert "ended their sessions" in proofdesk("user", "disable", "amina").stdout
    [_, amina] = json.loads(proofdesk("user", "list", "--json").stdout)
    assert (amina["username"], amina["role"], amina["disabled_at"] is None) == ("amina", "member", False)
    assert proofdesk("user", "enable", "amina").returncode == 0
    assert "Ended 0 sessions" in proofdesk("user", "end-sessions", "amina").stdout
    proofdesk("source", "bind", "1:2")
    assert "stays in the project" in proofdesk("source", "unbind", "1:2").stdout
    assert "to Atelier" in proofdesk("project", "rename", "Atelier").stdout
    assert "Its data stays" in proofdesk("project", "archive", "Atelier").stdout
    assert json.loads(proofdesk("project", "list", "--json").stdout) == []


def test_the_audit_chain_is_verified_and_exported(proofdesk: Command, tidy_url: str, tmp_path: Path):
    proofdesk("project", "create", "Agency")
    proofdesk("project", "rename", "Atelier")
    proofs = json.loads(proofdesk("audit", "verify", "--json").stdout)
    assert [(p["chain"], p["events"], p["fault"]) for p in proofs] == [("Atelier", 2, ""), ("installation", 1, "")]
    lines = [json.loads(line) for line in proofdesk("audit", "export").stdout.splitlines()]
    assert [line["action"] for line in lines] == ["project.created", "project.renamed", "auth.user_created"]
    assert proofdesk("audit", "export", "-p", "Atelier", "-o", str(tmp_path / "audit.jsonl")).returncode == 0
    assert len((tmp_path / "audit.jsonl").read_text().splitlines()) == 2
    assert proofdesk("audit", "export", "-p", "Nowhere").returncode == 1
    with psycopg.connect(tidy_url) as conn:
        tamper_with_events(conn, "DELETE FROM audit_events WHERE action = 'project.created'")
    broken = proofdesk("audit", "verify")
    assert broken.returncode == 1 and "Atelier is broken. Before event" in broken.stderr


def test_a_tick_starts_due_jobs_and_prints_their_status(proofdesk: Command):
    for name in ("Agency", "Studio"):
        proofdesk("project", "create", name)
    started = json.loads(proofdesk("tick", "--project", "Agency", "--wait", "0", "--json").stdout)
    assert started["processed"] > 0 and (started["ok"], started["failed"]) == (0, 0)
    assert {detail["status"] for detail in started["details"]} == {"queued"}
    others = json.loads(proofdesk("tick", "--wait", "0", "--json", "--limit", "100").stdout)
    assert {d["project_id"] for d in others["details"]}.isdisjoint(d["project_id"] for d in started["details"])
    assert proofdesk("worker", "--drain").returncode == 0
    assert json.loads(proofdesk("tick", "--wait", "0", "--json").stdout)["processed"] == 0
