"""An empty search desk, and one with the conversations of a shop."""

import pytest

from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope
from tests.support.search_desk import Desk


@pytest.fixture
def desk(db: Database, project: Scope) -> Desk:
    return Desk(db, project)


@pytest.fixture
async def shop(desk: Desk) -> Desk:
    """Six conversations of a shop, indexed and embedded."""
    await desk.talk("My parcel has not arrived, it is two weeks late now", "> Sorry! I will ask the courier today")
    await desk.talk("Please send invoice INV-2026-0417 to our accountant", "> Sent to books@studio.example just now")
    await desk.talk(
        "Invoice INV-2026-0418 shows the wrong VAT number for us", "> I corrected it, a new one is attached"
    )
    await desk.talk("Do you have the green jacket in my size, please?", "> Which size do you need?", "Yes, size 42")
    await desk.talk(
        "I want my money back for the broken lamp I bought",
        "> The refund of 59 euros will be on your card within five days",
        contact=("Bartholomew Quigley", "bart@quigley.example", "+44 20 7946 0018"),
        inbox=2,
        labels=["refund", "vip"],
        status="resolved",
    )
    await desk.talk("The app crashes when I open the settings page on my phone", "> Which version of the app is it?")
    await desk.ready()
    return desk
