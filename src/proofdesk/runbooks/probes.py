"""Calls to the services that Proofdesk depends on, through the clients that it works with. One try each."""

from dataclasses import dataclass, field
from typing import Any

from proofdesk.accounts.bot import TelegramError
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.indexing.embeddings.batches import PROBE
from proofdesk.indexing.embeddings.provider import Busy, EmbeddingError, Failed
from proofdesk.outbound.channels.email.channel import EmailChannel as MailChannel
from proofdesk.outbound.channels.interface import SendFailed
from proofdesk.runbooks.context import CheckSkippedError, RunbookContext

_ONE_TRY = 1e-6  # seconds of patience


@dataclass(frozen=True)
class EmbeddingProbe:
    """What the provider made of a plain sentence: the length of its vector, or why there is none.

    `kind` names the fault: unreachable, key, quota, throttled, model,
    dimension, setting (no embedding server) or out of order.
    """

    length: int | None = None
    kind: str | None = None
    message: str = ""


@dataclass(frozen=True)
class ChatwootProbe:
    """What Chatwoot answered, step by step; a step that was not reached is None. Errors are those of the client."""

    version: str | None = None
    unreachable: ChatwootError | None = None
    rejected: ChatwootError | None = None
    roles: dict[int, str] = field(default_factory=dict)


async def probe_embedding(case: RunbookContext) -> EmbeddingProbe:
    """Have a sentence embedded. Raises `CannotLookError` without a provider."""
    provider = case.resources.provider
    if provider is None:
        raise CheckSkippedError("There is no embedding provider to ask.")
    try:
        return EmbeddingProbe(length=len(await provider.embed_query(PROBE)))
    except EmbeddingError as error:
        return EmbeddingProbe(error.details.get("dimension"), _kind(error), error.message)


def _kind(error: EmbeddingError) -> str:
    status = error.details.get("upstream", {}).get("status")
    if isinstance(error, Busy):
        return "unreachable" if status is None else "throttled" if error.throttled else "out of order"
    if isinstance(error, Failed):
        if "dimension" in error.details:
            return "dimension"
        if status in (400, 401, 403):  # 400 is what some say to a wrong key
            return "key"
        return "quota" if status in (402, 429) else "model" if status == 404 else "setting"
    return "model"


async def probe_chatwoot(case: RunbookContext) -> ChatwootProbe:
    """Ask Chatwoot who it is, then who we are to it. Raises `CannotLookError` while it is not configured."""
    if case.resources.chatwoot is None:
        raise CheckSkippedError("Chatwoot is not configured.")
    client = case.resources.chatwoot
    try:
        version = (await client.server_info()).object().get("version")
    except ChatwootError as error:
        return ChatwootProbe(unreachable=error)
    try:
        profile = (await client.profile()).object()
    except ChatwootError as error:
        return ChatwootProbe(version, rejected=error)
    return ChatwootProbe(str(version), roles=_roles(profile))


def _roles(profile: dict[str, Any]) -> dict[int, str]:
    accounts = profile.get("accounts")
    listed = [a for a in accounts if isinstance(a, dict)] if isinstance(accounts, list) else []
    return {a["id"]: str(a.get("role")) for a in listed if isinstance(a.get("id"), int)}


async def list_inbox_ids(case: RunbookContext, account_id: int) -> set[int]:
    """The inboxes of an account that the token sees. Raises `ChatwootError`."""
    assert case.resources.chatwoot is not None, "asked after Chatwoot answered"
    found = await case.resources.chatwoot.with_retry_timeout(_ONE_TRY).inboxes(account_id)
    return {row["id"] for row in found.list("payload") if isinstance(row, dict) and isinstance(row.get("id"), int)}


async def probe_channel(case: RunbookContext, name: str) -> str:
    """Why the service behind a configured channel does not answer; empty when it does."""
    if name == "chatwoot":
        seen = await case.load_once(probe_chatwoot)
        error = seen.unreachable or seen.rejected
        return error.message if error else ""
    try:
        if name == "telegram" and case.resources.bot is not None:
            await case.resources.bot.identity()
        elif isinstance(mail := case.resources.outbound[name], MailChannel):
            await mail.check_connection()
    except (TelegramError, SendFailed) as error:
        return error.message
    return ""
