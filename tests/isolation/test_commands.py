"""Every command with one project and ids of another shows nothing of the other project, and changes nothing in it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import typer

from proofdesk.cli import app, load
from tests.support.worlds import World, project_hashes

# Commands that are not tested, and why.
MACHINE = {
    "backup": "the whole database",
    "config": "shows settings",
    "demo": "makes a database of its own",
    "migrate": "the schema",
    "restore": "the whole database",
    "serve": "serves until it is stopped",
    "up": "serves until it is stopped",
    "worker": "works for all projects",
    "tick": "queues what is due, of all projects, and shows types of jobs only",
    "simulate chatwoot": "no database",
    "simulate openai": "no database",
    "simulate telegram": "no database",
    "simulate smtp": "no database",
    "project create": "makes a project",
    "project list": "shows the names of all projects: who is at the terminal is the owner",
    "telegram bind-code": "the owner's Telegram account",
    "telegram set-webhook": "the owner's Telegram account",
    "telegram status": "the owner's Telegram account",
    "telegram unbind": "the owner's Telegram account",
    "user allow-sources": "accounts of the installation",
    "user create": "accounts of the installation",
    "user disable": "accounts of the installation",
    "user enable": "accounts of the installation",
    "user end-sessions": "accounts of the installation",
    "user forbid-sources": "accounts of the installation",
    "user list": "accounts of the installation",
    "user passwd": "accounts of the installation",
}
NOT_THERE = "not there"


def test_every_command_is_tested_or_excluded_with_a_reason():
    named = {name for name, _ in _commands()}
    missing = named - set(MACHINE) - set(_tries("", "", "", Path()))
    assert not missing, f"tell in {__name__}._tries with which arguments to try {sorted(missing)}"


async def test_command_shows_and_changes_one_project_only(
    database_url: str, owner_conn: psycopg.Connection, tmp_path: Path, ours: World, theirs: World
):
    # A command would wait for an active run.
    owner_conn.execute("UPDATE worker_runs SET status = 'failed' WHERE project_id = %s", [ours.project_id])
    before = project_hashes(owner_conn, theirs)
    draft, contact = str(theirs.outbound["draft"]), f"cwc:{theirs.project_id}:7:11"
    tries = _tries(str(ours.project_id), theirs.member, theirs.source, tmp_path, draft, contact)
    calls = [(name, [*name.split(), *arguments]) for name, (arguments, _) in tries.items()]
    for (name, _), (status, output) in zip(calls, _run(database_url, [c for _, c in calls]), strict=True):
        assert theirs.word not in (output + _written(tmp_path)).lower(), (
            f"{name} shows what is of another project: {output}"
        )
        assert "Traceback" not in output
        expected = tries[name][1]
        assert expected != NOT_THERE or status == 1, f"{name} found what is of another project: {output}"
        assert project_hashes(owner_conn, theirs) == before, f"{name} changed another project"


def _tries(
    project: str, member: str, source: str, folder: Path, outbound: str = "", contact: str = ""
) -> dict[str, tuple[list[str], str]]:
    """Return arguments for each command of a project, and whether the ids in them must not be found."""
    inside = ["--project", project]
    return {
        "search": (["delivery", *inside, "--mode", "text", "--json"], ""),
        "commitments": ([*inside, "--state", "proposed,open,kept", "--json"], ""),
        "ask": (["When is the delivery?", *inside, "--json"], ""),
        "source list": ([*inside, "--json"], ""),
        "source bind": ([source, *inside], NOT_THERE),
        "source unbind": ([source, *inside], NOT_THERE),
        "project member list": ([*inside, "--json"], ""),
        "project member remove": ([member, *inside], NOT_THERE),
        "project member add": (["nobody.of.that.name", *inside], NOT_THERE),
        "audit verify": ([*inside, "--json"], ""),
        "audit export": ([*inside, "--to", str(folder / "audit.jsonl")], ""),
        "sync": ([*inside, "--json"], NOT_THERE),
        "reconcile": ([*inside, "--json"], NOT_THERE),
        "doctor": ([*inside, "--json"], ""),
        "incidents": ([*inside, "--json"], ""),
        "chunk list": ([*inside, "--json"], ""),
        "chunk retry": (["cwmsg:none#0", *inside], NOT_THERE),
        "chunk skip": (["cwmsg:none#0", *inside], NOT_THERE),
        "embed": ([*inside, "--json"], ""),
        "outbound list": ([*inside, "--json"], ""),
        "outbound draft": (["email", "ada@example.com", "--text", "Hello", *inside], ""),
        **{f"outbound {verb}": ([outbound, *inside], NOT_THERE) for verb in ("show", "send", "cancel")},
        "outbound edit": ([outbound, "--text", "Hi", *inside], NOT_THERE),
        "outbound assign": ([outbound, "owner", *inside], NOT_THERE),
        "outbound approve": ([outbound, "--as", "nobody.of.that.name", *inside], NOT_THERE),
        "outbound process": ([*inside, "--json"], ""),
        "outbound rules": (["--send-unconfirmed", *inside], ""),
        "kill-switch on": (["--reason", "A test", *inside], ""),
        "kill-switch off": ([*inside, "--json"], ""),
        "suppression list": ([*inside, "--json"], ""),
        "suppression add": (["gone@example.com", "email", *inside], ""),
        "suppression remove": (["gone@example.com", "email", *inside], ""),
        "policy show": ([*inside, "--json"], ""),
        "policy set": ([contact, "email", "--opt-out", *inside], NOT_THERE),
        "project rename": (["Renamed", *inside], ""),
        "project archive": ([project], ""),
    }


def _written(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.iterdir())


def _commands() -> Iterator[tuple[str, Any]]:
    load()
    waiting: list[tuple[str, Any]] = [("", typer.main.get_command(app))]
    while waiting:
        path, command = waiting.pop()
        inner = getattr(command, "commands", None)
        if inner is None:
            yield path, command
        else:
            waiting += [(f"{path} {name}".strip(), c) for name, c in inner.items()]


def _run(database_url: str, calls: list[list[str]]) -> list[tuple[int, str]]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    told = subprocess.run(
        [sys.executable, "-m", "tests.isolation.commanding"],
        input=json.dumps(calls),
        env=kept
        | {"DATABASE_URL": database_url, "PYTHONPATH": os.pathsep.join(sys.path), "EMBEDDING_PROVIDER": "local"},
        cwd=Path(__file__).parent.parent.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)
