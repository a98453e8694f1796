"""`demo`: the whole loop on this environment, with a sample studio: read, embed, search, write, look."""

import asyncio
import os
import secrets
import time
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from pydantic import SecretStr

from proofdesk import settings
from proofdesk.accounts import accounts
from proofdesk.audit import events
from proofdesk.cli import app, environment, jobs, output, server
from proofdesk.cli import search as search_door
from proofdesk.cli.simulate import demo_extra
from proofdesk.core import ports
from proofdesk.database import home
from proofdesk.http.web import assets
from proofdesk.jobs import catalog, new_projects
from proofdesk.jobs.resources import Resources
from proofdesk.outbound import approval, drafts, messages
from proofdesk.outbound.delivery import delivery
from proofdesk.outbound.delivery.delivery import DeliveryOptions
from proofdesk.outbound.drafts import DraftRequest
from proofdesk.projects import projects, scope, sources
from proofdesk.projects.scope import Scope
from proofdesk.search import results
from proofdesk.search.results import SearchQuery
from proofdesk.settings import Settings

PROJECT = "Kestrel Studio"
RECIPIENT = "amara@example.com"
USERNAME = "demo"
QUERIES = (
    "charged twice by direct debit",
    "INV-2026-0439",
    "Kontaktformular funktioniert nicht",
)


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop after the searches instead of serving.")] = False,
) -> None:
    """Everything on this environment with sample data: no Chatwoot, no key, no database server needed."""
    with demo_extra():
        from proofdesk_simulators import chatwoot, serving, smtp

    started = time.monotonic()
    assets.manifest()
    chosen = settings.load()
    home.check_home(chosen.proofdesk_home)
    simulator, relay = chatwoot.build("studio"), smtp.SmtpSimulator()
    with (
        serving.running(chatwoot.create_app(simulator), port=_port(4010)) as chatwoot_url,
        smtp.running(relay, port=_port(4025)) as smtp_url,
        serving.running(smtp.create_app(relay), port=_port(4026)) as mail_url,
    ):
        simulator.switches.public_url = simulator.switches.storage_url = chatwoot_url
        local = _local(chosen, chatwoot_url, simulator.admin_token, smtp_url)
        with environment.prepared_database(local) as loaded:
            asyncio.run(_loop(loaded))
            output.print_line(f"What the simulated mail relay took: {mail_url}/_simulator/sent", "dim")
            output.print_line(f"\nDone in {time.monotonic() - started:.1f} s.", "bold")
            if not once:
                _serve(loaded)
    simulator.close()


def _local(chosen: Settings, chatwoot_url: str, token: str, smtp_url: str) -> Settings:
    """The settings of the demo: a home of its own, so that it never mixes with real data."""
    folder = chosen.proofdesk_home / "demo"
    return chosen.model_copy(
        update={
            "proofdesk_home": folder,
            "database_url": None,
            "auth_username": USERNAME,
            "auth_password": SecretStr(_password(folder)),
            "chatwoot_base_url": chatwoot_url,
            "chatwoot_api_token": SecretStr(token),
            "chatwoot_account_id": 1,
            "smtp_url": SecretStr(smtp_url),
            "smtp_from": f"{PROJECT} <hello@kestrel.example>",
            "log_level": "warning",
            "port": _port(chosen.port, chosen.host),
        }
    )


def _password(folder: Path) -> str:
    """The demo's password, made once and kept in its home."""
    kept = folder / "password"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_urlsafe(9))
    return kept.read_text()


def _port(wanted: int, host: str = "127.0.0.1") -> int:
    """The wanted port, or a free one where that is taken."""
    try:
        with ports.listen(host, wanted) as listener:
            return listener.getsockname()[1]
    except ports.PortUnavailable:
        with ports.listen(host, 0) as listener:
            return listener.getsockname()[1]


async def _loop(loaded: Settings) -> None:
    async with environment.opened_resources(loaded) as held:
        inside = await _project(held)
        for job, title in ((catalog.SYNC.name, "Sync of the simulated Chatwoot"), (catalog.EMBED.name, "Embedding")):
            ended = await jobs.here(held, inside, job, title)
            result = {k: v for k, v in ended.meta["result"].items() if isinstance(v, int)}
            output.print_line(f"{title}: " + ", ".join(f"{v} {k.replace('_', ' ')}" for k, v in result.items()))
        for query in QUERIES:
            output.print_line(f"\nSearch: {query}", "bold")
            question = SearchQuery(text=query, top_k=3)
            search_door.show(await results.search(held.db, inside, held.provider, loaded, question))
        await _write(held, inside)


async def _write(held: Resources, inside: Scope) -> None:
    """A message the way each goes: drafted, approved by a person, through the gates, to the relay."""
    payload = {
        "subject": "Your invoice",
        "text": "Hello,\n\nthe second debit was returned today. Sorry for the trouble.",
    }
    drafted, _ = await drafts.create(held.db, inside, DraftRequest("email", RECIPIENT, payload, str(uuid4())))
    person = await scope.enter(held.db, await accounts.load_actor(held.db, USERNAME), inside.project_id)
    await approval.approve(held.db, person, drafted.id)
    await delivery.process_due(held.db, inside, held.outbound, DeliveryOptions.from_settings(held.settings))
    sent = await messages.get_message(held.db, inside, drafted.id)
    why = f" ({sent.last_error})" if sent.last_error else ""
    output.print_line(f"\nMail to {RECIPIENT}, approved by {sent.approved_by}: {sent.status}{why}", "bold")


async def _project(held: Resources) -> Scope:
    existing = {p.name: p for p in await projects.list_visible(held.db, events.system_actor())}
    project = existing.get(PROJECT) or await new_projects.create(held.db, events.system_actor(), PROJECT)
    inside = await scope.enter(held.db, events.system_actor(), project.id)
    if not await sources.list_sources(held.db, inside):
        await sources.bind(held.db, inside, "chatwoot_account", "1")
    return inside


def _serve(loaded: Settings) -> None:
    output.print_line(f"\nOpen {ports.url(loaded.host, loaded.port)}/", "bold")
    assert loaded.auth_password is not None
    output.print_line(f"Username: {loaded.auth_username}   Password: {loaded.auth_password.get_secret_value()}")
    output.print_line("Stop with Ctrl-C.")
    environment = os.environ | {
        name.upper(): str(value.get_secret_value() if isinstance(value, SecretStr) else value)
        for name in settings.Settings.model_fields
        if (value := getattr(loaded, name)) is not None
    }
    server.run_commands([["serve"], ["worker"]], environment)
