"""Reading commitments from single messages."""

from datetime import date

import pytest

from proofdesk.commitments.extraction.extractor import extract
from tests.commitments.sentences import NOT_PROMISES, PROMISES

WEDNESDAY = date(2026, 3, 4)


def due_dates(text: str, language: str) -> list[str | None]:
    """Return the due days of the commitments in a text by the business."""
    found = extract(text, language, "agent", WEDNESDAY)
    assert all(commitment.quote in text for commitment in found)
    return [commitment.due and commitment.due.isoformat() for commitment in found]


@pytest.mark.parametrize(("language", "text", "due"), [(k, *row) for k, rows in PROMISES.items() for row in rows])
def test_promise_has_its_due_day(language: str, text: str, due: str | None):
    assert due in due_dates(text, language)


@pytest.mark.parametrize(("language", "text"), [(k, text) for k, texts in NOT_PROMISES.items() for text in texts])
def test_sentence_that_binds_nobody_is_no_commitment(language: str, text: str):
    assert due_dates(text, language) == []
