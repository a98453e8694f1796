"""Worker processes: each reports itself, so that diagnostics can name one that hangs or runs with other settings."""

import asyncio
import contextlib
import hashlib
import socket

import psutil
from pydantic import SecretStr

from proofdesk import __version__
from proofdesk.database.pool import Database
from proofdesk.errors import Unavailable
from proofdesk.jobs import worker_process_queries as queries
from proofdesk.jobs.outcomes import current_runner
from proofdesk.jobs.worker_process_queries import WorkerProcess
from proofdesk.settings import Settings

REPORT_SECONDS = 10.0
_FORGET_HOURS = 24
_WITHDRAW_SECONDS = 2.0  # a process that stops does not wait for a database that is away
_SHARED = (
    "chatwoot_base_url", "chatwoot_api_token", "chatwoot_account_id", "openai_api_key", "openai_base_url",
    "embedding_provider", "embedding_model", "embedding_dim", "embedding_query_prefix", "embedding_document_prefix",
    "smtp_url", "smtp_from", "telegram_bot_token", "telegram_api_base_url", "public_url",
)  # fmt: skip
"""Settings that a worker and the server must share."""


async def report(db: Database, settings: Settings) -> None:
    """Store that this process is a worker that runs, and with which settings."""
    async with db.transaction() as conn:
        await queries.report_process(conn, current_runner(), __version__, fingerprints(settings))


async def withdraw(db: Database) -> None:
    """Remove this process, which stops, and those that are gone for a day."""
    with contextlib.suppress(Unavailable, TimeoutError):
        async with asyncio.timeout(_WITHDRAW_SECONDS), db.transaction() as conn:
            await queries.delete_process(conn, current_runner(), _FORGET_HOURS)


async def list_processes(db: Database) -> list[WorkerProcess]:
    """Return the worker processes of this database, on all machines."""
    async with db.transaction() as conn:
        return await queries.list_processes(conn)


def fingerprints(settings: Settings) -> dict[str, str]:
    """Return a hash of each shared setting. It has 20 bits, too few to find a secret by trying."""
    return {name.upper(): _fingerprint(name, getattr(settings, name)) for name in _SHARED}


def is_here(runner: str) -> bool:
    """Return whether the process of a runner is, or was, on this machine."""
    return runner.partition(":")[0] == socket.gethostname()


def is_running(runner: str) -> bool:
    """Return whether a process of this machine still exists. Its number may belong to another one by now."""
    _, number, started = runner.split(":")
    with contextlib.suppress(psutil.Error):
        return f"{psutil.Process(int(number)).create_time():.2f}" == started
    return False


def describe(runner: str) -> str:
    """Return a process in words."""
    host, number, *_ = f"{runner}::".split(":")
    return f"process {number} on {host}"


def _fingerprint(name: str, value: object) -> str:
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    return hashlib.sha256(f"{name}={text}".encode()).hexdigest()[:5]
