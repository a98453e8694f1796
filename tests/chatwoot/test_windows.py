"""Complete windows of ids read every message in any order of times, with a bounded number of requests."""

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofdesk.chatwoot.windows import (
    MAX_ID,
    MAX_ROWS,
    ConversationReading,
    MessageWindow,
    UnsplittableWindow,
    find_gaps,
)

Row = dict[str, int]


@dataclass
class Conversation:
    """Messages as Chatwoot selects them: by id, ordered and cut by time, with equal times in any order."""

    times: dict[int, int]
    requests: int = 0

    def messages(self, window: MessageWindow) -> list[Row]:
        self.requests += 1
        chosen = [i for i in self.times if window.first <= i < window.end]
        random.Random(self.requests).shuffle(chosen)
        return [{"id": i} for i in sorted(chosen, key=lambda i: self.times[i])[:MAX_ROWS]]

    def read(self, start: int = 0, known_id: int = 0) -> ConversationReading:
        reading = ConversationReading.starting_at(1, start, known_id)
        while not reading.finished:
            reading = reading.after_page(self.messages(reading.window))
        return reading


def order(kind: str, count: int, seed: int = 1) -> Conversation:
    """Make sparse ids with times in the named order."""
    chance = random.Random(seed)
    ids = sorted(chance.sample(range(5_000_000, 5_000_000 + count * 20), count))
    times = {
        "rising": range(count),
        "falling": range(count, 0, -1),
        "shuffled": chance.sample(range(count), count),
        "equal": [7] * count,
        "import below": [n + count if n < count // 2 else n for n in range(count)],
        "few seconds": [chance.randrange(5) for _ in range(count)],
        "late below": [n + (count if n < 1500 and n % 3 else 0) for n in range(count)],
    }[kind]
    return Conversation(dict(zip(ids, times, strict=True)))


KINDS = ["rising", "falling", "shuffled", "equal", "import below", "few seconds", "late below"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 10_000])
def test_every_message_is_read_in_a_bounded_number_of_requests(kind: str, count: int):
    conversation = order(kind, count)
    reading = conversation.read(known_id=max(conversation.times, default=0))
    assert reading.present == set(conversation.times)
    assert conversation.requests <= 1 + 2 * count // 480


def test_ordered_conversation_costs_one_request_per_900_messages():
    conversation = order("rising", 12_000)
    conversation.read(known_id=max(conversation.times))
    assert conversation.requests <= 18


def test_new_message_costs_one_request():
    conversation = order("rising", 12_000)
    cursor = conversation.read().cursor
    newest = max(conversation.times) + 10
    conversation.times[newest] = 99_999
    conversation.requests = 0
    assert newest in conversation.read(cursor, cursor).present
    assert conversation.requests == 1


@settings(max_examples=20, deadline=None)
@given(
    st.dictionaries(st.integers(1, 2**40), st.integers(0, 30), min_size=0, max_size=40),
    st.integers(0, 4),
    st.randoms(use_true_random=False),
)
def test_ids_of_any_density_and_times_of_any_order_are_all_read(
    few: dict[int, int], bursts: int, chance: random.Random
):
    times = dict(few)
    for _ in range(bursts):
        first = chance.randrange(1, 2**40)
        times |= {first + n * chance.choice((1, 1, 3, 1000)): chance.randrange(2000) for n in range(900)}
    conversation = Conversation(times)
    known = chance.choice((0, max(times, default=0)))
    assert conversation.read(known_id=known).present == set(times)
    assert conversation.requests <= 40 + len(times) // 20


def test_full_answer_without_ids_ends_the_reading():
    with pytest.raises(UnsplittableWindow):
        ConversationReading.starting_at(1, 0, 0).after_page([{"id": "odd"}] * MAX_ROWS)


def test_cursor_stays_thirty_messages_below_the_newest():
    conversation = order("rising", 2_000)
    ids = sorted(conversation.times)
    reading = ConversationReading.starting_at(1, 0, ids[-1])
    reading = reading.after_page(conversation.messages(reading.window))
    assert reading.cursor == 0, "nothing is complete yet"
    reading = reading.after_page(conversation.messages(reading.window))
    assert reading.cursor == ids[998 - 29] and not reading.finished
    assert conversation.read().cursor == ids[-30]


def test_gaps_hold_the_absent_and_none_of_the_present():
    assert find_gaps([3, 4, 9, 20], {5, 10, 11}) == [MessageWindow(3, 5), MessageWindow(9, 10), MessageWindow(20, 21)]
    assert find_gaps([1, 7], {100}) == [MessageWindow(1, 8)]
    assert find_gaps([], {1}) == [] and MessageWindow(1).end == MAX_ID
