"""Telling a conversation that is not for the token from a token that lost its rights."""

from proofdesk.chatwoot.client import Chatwoot
from proofdesk.chatwoot.responses import ChatwootError


async def check(client: Chatwoot, account_id: int, refused: list[ChatwootError], answered: int) -> None:
    """Raise a refusal unless it can be a matter of single items: most were answered, or the token sees inboxes."""
    if len(refused) > max(1, answered):
        raise refused[0]
    if refused and not answered and not (await client.inboxes(account_id)).list("payload"):
        raise refused[0]
