"""`demo`: all of Proofdesk on this machine with sample data: sync, embed, search, send, and the web pages."""

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
from proofdesk.cli.search import print_hits
from proofdesk.cli.simulate import demo_extra
from proofdesk.core import ports
from proofdesk.database import home
from proofdesk.http.web import assets
from proofdesk.jobs import catalog, new_projects
from proofdesk.jobs.resources import Resources
from proofdesk.outbound import approval, drafts, messages
from proofdesk.outbound.delivery import delivery
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
    once: Annotated[
        bool, typer.Option("--once", help="Stop after the searches instead of serving the web pages.")
    ] = False,
) -> None:
    """Try Proofdesk on this machine with sample data. Needs no Chatwoot, API key or database server."""
    with demo_extra():
        from proofdesk_simulators import chatwoot, serving, smtp

    started = time.monotonic()
    assets.manifest()
    loaded = settings.load()
    home.check_home(loaded.proofdesk_home)
    simulator, relay = chatwoot.build("studio"), smtp.SmtpSimulator()
    with (
        serving.running(chatwoot.create_app(simulator), port=_free_port(4010)) as chatwoot_url,
        smtp.running(relay, port=_free_port(4025)) as smtp_url,
        serving.running(smtp.create_app(relay), port=_free_port(4026)) as mail_url,
    ):
        simulator.switches.public_url = simulator.switches.storage_url = chatwoot_url
        local = _demo_settings(loaded, chatwoot_url, simulator.admin_token, smtp_url)
        with environment.prepared_database(local) as loaded:
            asyncio.run(_run_demo(loaded))
            output.print_line(f"Messages at the simulated SMTP relay: {mail_url}/_simulator/sent", "dim")
            output.print_line(f"\nDone in {time.monotonic() - started:.1f} s.", "bold")
            if not once:
                _serve(loaded)
    simulator.close()


def _demo_settings(loaded: Settings, chatwoot_url: str, token: str, smtp_url: str) -> Settings:
    """Return the settings of the demo. It has its own home folder, so that it never mixes with real data."""
    folder = loaded.proofdesk_home / "demo"
    return loaded.model_copy(
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
            "port": _free_port(loaded.port, loaded.host),
        }
    )


def _password(folder: Path) -> str:
    """Return the password of the demo, created once and kept in its home folder."""
    file = folder / "password"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(9))
    return file.read_text()


def _free_port(preferred: int, host: str = "127.0.0.1") -> int:
    """Return the preferred port if it is free, else another free one."""
    try:
        with ports.listen(host, preferred) as listener:
            return listener.getsockname()[1]
    except ports.PortUnavailable:
        with ports.listen(host, 0) as listener:
            return listener.getsockname()[1]


async def _run_demo(loaded: Settings) -> None:
    async with environment.opened_resources(loaded) as resources:
        project_scope = await _enter_demo_project(resources)
        for job, title in ((catalog.SYNC.name, "Sync of the simulated Chatwoot"), (catalog.EMBED.name, "Embedding")):
            finished = await jobs.run_job(resources, project_scope, job, title)
            result = {k: v for k, v in finished.meta["result"].items() if isinstance(v, int)}
            output.print_line(f"{title}: " + ", ".join(f"{v} {k.replace('_', ' ')}" for k, v in result.items()))
        for query in QUERIES:
            output.print_line(f"\nSearch: {query}", "bold")
            search_query = SearchQuery(text=query, top_k=3)
            print_hits(await results.search(resources.db, project_scope, resources.provider, loaded, search_query))
        await _send_message(resources, project_scope)


async def _send_message(resources: Resources, project_scope: Scope) -> None:
    """Draft a message, approve it as a person, and send it through the gates to the SMTP relay."""
    payload = {
        "subject": "Your invoice",
        "text": "Hello,\n\nthe second debit was returned today. Sorry for the trouble.",
    }
    request = DraftRequest("email", RECIPIENT, payload, str(uuid4()))
    draft, _ = await drafts.create(resources.db, project_scope, request)
    approver = await accounts.load_actor(resources.db, USERNAME)
    approver_scope = await scope.enter(resources.db, approver, project_scope.project_id)
    await approval.approve(resources.db, approver_scope, draft.id)
    options = resources.delivery_options
    await delivery.process_due(resources.db, project_scope, resources.outbound, options)
    sent = await messages.get_message(resources.db, project_scope, draft.id)
    error = f" ({sent.last_error})" if sent.last_error else ""
    output.print_line(f"\nE-mail to {RECIPIENT}, approved by {sent.approved_by}: {sent.status}{error}", "bold")


async def _enter_demo_project(resources: Resources) -> Scope:
    existing = {p.name: p for p in await projects.list_visible(resources.db, events.system_actor())}
    project = existing.get(PROJECT) or await new_projects.create(resources.db, events.system_actor(), PROJECT)
    project_scope = await scope.enter(resources.db, events.system_actor(), project.id)
    if not await sources.list_sources(resources.db, project_scope):
        await sources.bind(resources.db, project_scope, "chatwoot_account", "1")
    return project_scope


def _serve(loaded: Settings) -> None:
    output.print_line(f"\nOpen {ports.url(loaded.host, loaded.port)}/", "bold")
    assert loaded.auth_password is not None
    output.print_line(f"Username: {loaded.auth_username}   Password: {loaded.auth_password.get_secret_value()}")
    output.print_line("Stop with Ctrl-C.")
    variables = os.environ | {
        name.upper(): str(value.get_secret_value() if isinstance(value, SecretStr) else value)
        for name in settings.Settings.model_fields
        if (value := getattr(loaded, name)) is not None
    }
    server.run_commands([["serve"], ["worker"]], variables)
