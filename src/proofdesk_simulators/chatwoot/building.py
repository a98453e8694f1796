"""Building a simulator with data."""

from pathlib import Path

import httpx2

from proofdesk_simulators.chatwoot import corpus, foundation, sample
from proofdesk_simulators.chatwoot.clock import Clock
from proofdesk_simulators.chatwoot.installation import Installation
from proofdesk_simulators.chatwoot.simulator import ChatwootSimulator

EMPTY, STUDIO = "empty", "studio"


def build(
    data: str | Path = STUDIO,
    *,
    clock: Clock | None = None,
    webhook_transport: httpx2.BaseTransport | None = None,
) -> ChatwootSimulator:
    """Return a simulator with `studio` (a sample design studio), `empty` (account 1 with one API inbox and no
    contacts), or the corpus file at a path (.jsonl or .jsonl.gz).

    The administrator's token of account 1 is `simulator-admin-token`.
    """
    installation = Installation(clock)
    if data == STUDIO:
        sample.load(installation)
    elif data == EMPTY:
        account = foundation.create_foundation(installation, "Empty account", "Simulator Admin", "admin@example.com")
        foundation.add_inbox(installation, account, "API inbox", "Channel::Api")
    else:
        corpus.load(installation, Path(data))
    return ChatwootSimulator(installation, webhook_transport)
