"""Calls to the services that Proofdesk depends on, with the clients of the product and without retries."""

from dataclasses import dataclass, field
from typing import Any

from proofdesk.accounts.bot import TelegramError
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.indexing.embeddings.batches import PROBE
from proofdesk.indexing.embeddings.provider import EmbeddingError, ProviderBusy, ProviderFailed
from proofdesk.outbound.channels.email.channel import EmailChannel as MailChannel
from proofdesk.outbound.channels.interface import SendFailed
from proofdesk.runbooks.context import CheckSkippedError, RunbookContext


@dataclass(frozen=True)
class EmbeddingProbe:
    """The result of embedding one sentence: the length of its vector, or the error.

    `kind` is the kind of error: unreachable, slow, key, quota, throttled, model, dimension, setting (not an embedding
    server) or server error.
    """

    length: int | None = None
    kind: str | None = None
    message: str = ""


@dataclass(frozen=True)
class ChatwootProbe:
    """What Chatwoot responded, step by step. `rejected` is the error of the token, `unreachable` of the address."""

    version: str | None = None
    unreachable: ChatwootError | None = None
    rejected: ChatwootError | None = None
    roles: dict[int, str] = field(default_factory=dict)


async def probe_embedding(context: RunbookContext) -> EmbeddingProbe:
    """Embed one sentence. Raises `CheckSkippedError` without a provider."""
    provider = context.resources.provider
    if provider is None:
        raise CheckSkippedError("No embedding provider is configured.")
    try:
        return EmbeddingProbe(length=len(await provider.embed_query(PROBE)))
    except EmbeddingError as error:
        return EmbeddingProbe(error.details.get("dimension"), _kind(error), error.message)


def _kind(error: EmbeddingError) -> str:
    status = error.details.get("upstream", {}).get("status")
    if isinstance(error, ProviderBusy):
        if status is None:
            return "slow" if error.timed_out else "unreachable"
        return "throttled" if error.throttled else "server error"
    if isinstance(error, ProviderFailed):
        if "dimension" in error.details:
            return "dimension"
        if status in (400, 401, 403):  # some servers answer 400 to a wrong key
            return "key"
        return "quota" if status in (402, 429) else "model" if status == 404 else "setting"
    return "model"


async def probe_chatwoot(context: RunbookContext) -> ChatwootProbe:
    """Request the version of Chatwoot, then the profile of the token. Raises `CheckSkippedError` if not configured."""
    if context.resources.chatwoot is None:
        raise CheckSkippedError("Chatwoot is not configured.")
    client = context.resources.chatwoot
    try:
        version = (await client.server_info()).object().get("version")
    except ChatwootError as error:
        return ChatwootProbe(unreachable=error)
    try:
        response = await client.profile()
        response.list("accounts")  # another page in place of the profile is no proof of the token
        profile = response.object()
    except ChatwootError as error:
        return ChatwootProbe(version, rejected=error)
    return ChatwootProbe(str(version), roles=_roles(profile))


def _roles(profile: dict[str, Any]) -> dict[int, str]:
    accounts = profile.get("accounts")
    listed = [a for a in accounts if isinstance(a, dict)] if isinstance(accounts, list) else []
    return {a["id"]: str(a.get("role")) for a in listed if isinstance(a.get("id"), int)}


async def list_inbox_ids(context: RunbookContext, account_id: int) -> set[int]:
    """Return the ids of the inboxes that the token sees in an account. Raises `ChatwootError`."""
    assert context.resources.chatwoot is not None, "call this after probe_chatwoot"
    response = await context.resources.chatwoot.with_max_attempts(1).inboxes(account_id)
    return {row["id"] for row in response.list("payload") if isinstance(row, dict) and isinstance(row.get("id"), int)}


async def probe_account(context: RunbookContext, account_id: int) -> int | ChatwootError:
    """Return how many conversations of an account the token sees, or the error of that list."""
    assert context.resources.chatwoot is not None, "call this after probe_chatwoot"
    client = context.resources.chatwoot.with_max_attempts(1)
    try:
        listed = await client.conversations(account_id, 1, "latest")
    except ChatwootError as error:
        return error
    return len(listed.items) if listed.total is None else listed.total


async def probe_channel(context: RunbookContext, name: str) -> str:
    """Return the error of the service behind a configured channel, or an empty string."""
    if name == "chatwoot":
        probe = await context.load_once(probe_chatwoot)
        error = probe.unreachable or probe.rejected
        return error.message if error else ""
    try:
        if name == "telegram" and context.resources.bot is not None:
            await context.resources.bot.identity()
        elif isinstance(mail := context.resources.outbound[name], MailChannel):
            await mail.check_connection()
    except (TelegramError, SendFailed) as error:
        return error.message
    return ""
