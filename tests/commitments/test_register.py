"""The register: what the job stores, what later messages change, and what a person decided."""

import psycopg
import pytest

from proofdesk.commitments import extraction_job, register
from proofdesk.commitments.commitment_queries import Commitment
from proofdesk.commitments.extraction_job import ExtractionTotals
from proofdesk.commitments.register import CommitmentChange, CommitmentNotFound, InvalidCommitment
from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope
from tests.support.audit_events import list_actions
from tests.support.search_desk import Desk

PROMISE = "> We will deliver the oak table on 12 March."  # conversation 1 is from 3 March 2026


class PromiseDesk(Desk):
    """A desk whose messages are read into the register."""

    async def extract(self) -> ExtractionTotals:
        return await extraction_job.run(self.db, self.scope, "UTC")

    async def listed(self, **values: object) -> list[Commitment]:
        wanted = register.build_filter(**values)  # type: ignore[arg-type]
        return (await register.list_commitments(self.db, self.scope, wanted, "UTC", 100, 0))[0]

    async def set(self, commitment: Commitment, **values: object) -> Commitment:
        return await register.change(self.db, self.scope, str(commitment.id), CommitmentChange(values), "UTC")

    async def edit_message(self, message_id: int, text: str) -> None:
        await self.change(
            "UPDATE cw_messages SET content = %(text)s, updated_at = now() WHERE message_id = %(m)s",
            text=text,
            m=message_id,
        )


@pytest.fixture
def desk(db: Database, project: Scope) -> PromiseDesk:
    return PromiseDesk(db, project)


async def test_both_sides_are_registered_with_quote_and_day(desk: PromiseDesk):
    await desk.talk("When can you come?", PROMISE, "Great, I'll pay the deposit tomorrow.")
    assert (await desk.extract()).stored == 2
    theirs, ours = await desk.listed()
    assert (ours.by, ours.by_name, str(ours.due), ours.state) == ("us", "Ben", "2026-03-12", "open")
    assert ours.quote in PROMISE and ours.message_global_id.endswith(":1:101")
    assert (theirs.by, str(theirs.due), theirs.contact_name) == ("contact", "2026-03-04", "Anna Petrova")
    assert [c.by for c in await desk.listed(owner="us")] == ["us"]


async def test_a_rerun_adds_and_changes_nothing(desk: PromiseDesk):
    await desk.talk("When?", PROMISE, "> The oak table was delivered this morning.")
    await desk.extract()
    before = await desk.listed()
    again = await desk.extract()
    assert again.messages == 3  # within the overlap they are read once more
    assert (again.stored, again.removed, again.resolved) == (0, 0, 0)
    assert await desk.listed() == before


async def test_delivery_closes_a_commitment_with_its_message(desk: PromiseDesk):
    await desk.talk("When?", PROMISE, "> The oak table was delivered this morning.")
    await desk.extract()
    [kept] = await desk.listed()
    assert kept.state == "kept" and str(kept.resolved_by_message_global_id).endswith(":102")


async def test_new_date_supersedes_the_earlier_promise(desk: PromiseDesk):
    await desk.talk(
        "When?", PROMISE, "> Sorry, the lorry broke down. We will deliver the oak table on 19 March instead."
    )
    await desk.extract()
    new, old = await desk.listed()
    assert (old.state, old.superseded_by, str(new.due), new.state) == ("superseded", new.id, "2026-03-19", "open")


async def test_uncertain_delivery_is_only_suggested(desk: PromiseDesk):
    await desk.talk("When?", PROMISE, "> All done, as agreed.")
    await desk.extract()
    [commitment] = await desk.listed()
    assert (commitment.state, commitment.suggested_state) == ("open", "kept")
    accepted = await desk.set(commitment, state="kept")
    assert (accepted.state, accepted.suggested_state, accepted.source) == ("kept", None, "person")


async def test_edits_of_a_person_survive_every_rerun(desk: PromiseDesk, owner_conn: psycopg.Connection):
    await desk.talk("When?", PROMISE)
    await desk.extract()
    [commitment] = await desk.listed()
    await desk.set(commitment, due="2026-03-20", what="Deliver the table", state="broken", reason="They called")
    await desk.edit_message(101, "We will deliver the oak table on 12 March. The oak table was delivered.")
    await desk.extract()
    [edited] = await desk.listed()
    assert (str(edited.due), edited.what, edited.state) == ("2026-03-20", "Deliver the table", "broken")
    assert (edited.reason, edited.source) == ("They called", "person")
    assert "commitment.changed" in list_actions(owner_conn, "commitment")


async def test_confirmed_commitment_is_still_closed_by_a_delivery(desk: PromiseDesk):
    await desk.talk("When?", "> The rest of the oak chairs by 12 March.")
    await desk.extract()
    [proposed] = await desk.listed()
    assert proposed.state == "proposed"
    await desk.set(proposed, state="open")
    await desk.edit_message(100, "When? By the way, the oak chairs arrived, thanks for the chairs.")
    await desk.change("UPDATE cw_messages SET created_at = created_at + interval '1 day' WHERE message_id = 100")
    await desk.extract()
    assert [c.state for c in await desk.listed()] == ["kept"]


async def test_edited_message_changes_its_commitments(desk: PromiseDesk):
    await desk.talk("When?", PROMISE, "> We'll call you on 13 March.")
    await desk.extract()
    await desk.edit_message(101, "We will deliver the oak table on 15 March.")
    await desk.delete(102)
    await desk.change("UPDATE cw_messages SET updated_at = now() WHERE message_id = 102")
    await desk.extract()
    assert [str(c.due) for c in await desk.listed()] == ["2026-03-15"]


async def test_commitment_opens_again_when_its_delivery_is_deleted(desk: PromiseDesk):
    await desk.talk("When?", PROMISE, "> The oak table was delivered this morning.")
    await desk.extract()
    await desk.delete(102)
    await desk.change("UPDATE cw_messages SET updated_at = now() WHERE message_id = 102")
    await desk.extract()
    [commitment] = await desk.listed()
    assert (commitment.state, commitment.resolved_by_message_global_id) == ("open", None)


async def test_private_notes_promise_nothing(desk: PromiseDesk):
    await desk.talk("When?", "> note: We will deliver the table on 12 March.")
    await desk.extract()
    assert await desk.listed() == []


async def test_run_continues_after_the_last_page(desk: PromiseDesk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(extraction_job, "_PAGE_SIZE", 2)
    await desk.talk("When?", PROMISE, "Ok.", "> I'll send the invoice tomorrow.")

    async def stop() -> bool:
        return True

    first = await extraction_job.run(desk.db, desk.scope, "UTC", should_stop=stop)
    assert (first.messages, first.stored, first.finished) == (2, 1, False)
    second = await desk.extract()
    assert (second.messages, second.stored, second.finished) == (2, 1, True)


async def test_days_count_in_the_time_zone_of_the_project(desk: PromiseDesk):
    await desk.talk("When?", "> I'll send the invoice tomorrow.")
    await desk.change("UPDATE cw_messages SET created_at = '2026-03-03 23:30+00' WHERE message_id = 101")
    await extraction_job.run(desk.db, desk.scope, "Asia/Tokyo")
    assert [str(c.due) for c in await desk.listed()] == ["2026-03-05"]


@pytest.mark.parametrize(
    "values", [{}, {"state": "proposed"}, {"state": "done"}, {"due": "soon"}, {"what": " "}, {"reason": "x" * 501}]
)
async def test_invalid_changes_are_refused(desk: PromiseDesk, values: dict[str, object]):
    await desk.talk("When?", PROMISE)
    await desk.extract()
    [commitment] = await desk.listed()
    with pytest.raises(InvalidCommitment):
        await desk.set(commitment, **values)


async def test_unknown_commitment_is_not_found(desk: PromiseDesk):
    for commitment_id in ("nonsense", str(desk.scope.project_id)):
        with pytest.raises(CommitmentNotFound):
            await register.change(desk.db, desk.scope, commitment_id, CommitmentChange({"state": "kept"}), "UTC")
