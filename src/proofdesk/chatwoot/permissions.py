"""Distinguish a record that the token may not see from a token that lost its rights."""

from collections.abc import Iterable

from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.responses import ChatwootError


async def check_refusals(
    client: ChatwootClient, account_id: int, refusals: list[ChatwootError], success_count: int
) -> None:
    """Raise a refusal unless it can concern single records: most were answered, or the token sees inboxes (C-01)."""
    if len(refusals) > max(1, success_count):
        raise refusals[0]
    if refusals and not success_count and not (await client.inboxes(account_id)).list("payload"):
        raise refusals[0]


async def find_limited_role(client: ChatwootClient, account_ids: Iterable[int]) -> str | None:
    """Return the role of the token's user if it may hide conversations in one of these accounts; None if it does not.

    Chatwoot shows an agent only the conversations of their inboxes, and the counts of a list are theirs as well (C-17).
    """
    try:
        accounts = (await client.profile()).list("accounts")
    except ChatwootError:
        return "unknown"
    roles = {a["id"]: str(a.get("role")) for a in accounts if isinstance(a, dict) and "id" in a}
    seen = [roles.get(account_id, "unknown") for account_id in account_ids]
    return next((role for role in seen if role != "administrator"), None)
