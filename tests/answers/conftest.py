"""A desk with conversations to ask about."""

import pytest

from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope
from tests.support.asking_desk import KOWALSKI, MORAVEC, AskingDesk


@pytest.fixture
async def desk(db: Database, project: Scope) -> AskingDesk:
    """Conversations about a sofa, whose delivery moves, and about curtains."""
    desk = AskingDesk(db, project)
    await desk.talk(
        "Hello, when can you deliver the sofa?",
        "> Dear Mr Kowalski, we will deliver the sofa on 12 March.",
        "Good, I will be at home.",
        "> I am sorry, the lorry broke down. We will deliver the sofa on 19 March instead.",
        contact=KOWALSKI,
    )
    await desk.talk(
        "How much do the linen curtains cost?",
        "> The linen curtains cost 240 € including hemming.",
        "> note: they always haggle, 200 € is our limit for the curtains",
        contact=MORAVEC,
    )
    await desk.ready(embed=False)
    return desk
