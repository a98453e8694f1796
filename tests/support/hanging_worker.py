"""A worker whose channel never answers: `python -m tests.support.hanging_worker PROJECT`. It prints when it calls."""

import asyncio
import os
import sys
from uuid import UUID

from proofdesk.audit import events
from proofdesk.database.pool import open_database
from proofdesk.outbound.channels.interface import ChannelMessage
from proofdesk.outbound.delivery import delivery
from proofdesk.outbound.delivery.delivery import DeliveryOptions
from proofdesk.projects import scope
from tests.support.outbound_desk import FakeChannel


def wait_forever(_: ChannelMessage) -> float:
    """Print a line, and never answer."""
    sys.stdout.write("calling\n")
    sys.stdout.flush()
    return 3600.0


async def main() -> None:
    """Send the messages that are due."""
    async with open_database(os.environ["DATABASE_URL"], 2) as db:
        project = await scope.enter(db, events.system_actor(), UUID(sys.argv[1]))
        await delivery.process_due(db, project, {"email": FakeChannel(behave=wait_forever)}, DeliveryOptions(4, 60))


asyncio.run(main())
