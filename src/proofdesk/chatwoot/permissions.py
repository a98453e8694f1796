"""Distinguish a record that the token may not see from a token that lost its rights."""

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
