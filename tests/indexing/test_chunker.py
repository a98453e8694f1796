from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from proofdesk.indexing.chunking import chunker
from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.transcripts import message_text
from tests.support.transcripts import Line, agent, messages, transcript

LIMITS = ChunkLimits(1000, 30)
QUESTION = "Which size of the blue coat do you need, and in which country are you?"

LINES = st.lists(
    st.builds(
        Line,
        st.one_of(st.sampled_from(["ok", "Hi", "size 42", "", "Мне нужно синее пальто. " * 9]), st.text(max_size=250)),
        st.sampled_from(["contact", "agent"]),
    ),
    max_size=25,
)


@given(LINES, st.builds(ChunkLimits, st.integers(100, 300), st.integers(0, 1000)))
def test_chunks_lose_nothing_and_keep_the_order(lines: list[Line], limits: ChunkLimits):
    conversation = messages(*lines)
    chunks = chunker.split_transcript(conversation, "Shop", limits)
    assert "".join("".join(chunk.text.split()) for chunk in chunks) == "".join(
        "".join(message_text(message).split()) for message in conversation
    )
    assert all(0 < len(chunk.text) <= limits.chunk_size for chunk in chunks)
    covered = list(dict.fromkeys(number for chunk in chunks for number in chunk.covers))
    assert covered == [m.message_id for m in conversation if message_text(m)]
    assert all(a.covers[-1] <= b.covers[0] for a, b in pairwise(chunks))
    keys = [(chunk.anchor.message_id, chunk.index) for chunk in chunks]
    assert len(set(keys)) == len(keys)
    assert all(chunk.anchor.message_id in chunk.covers for chunk in chunks)


def test_a_short_answer_joins_its_question():
    (chunk,) = chunker.split_transcript(transcript(agent(QUESTION), Line("42, Norway")), "Shop", LIMITS)
    assert chunk.text == f"{QUESTION}\n42, Norway"
    assert chunk.covers == [1, 2]
    assert chunk.anchor.message_id == 1
    assert chunk.sender_types == ["agent", "contact"]


def test_a_greeting_joins_the_message_after_it():
    (chunk,) = chunker.split_transcript(transcript(Line("Hi"), Line(QUESTION)), "Shop", LIMITS)
    assert (chunk.text, chunk.covers, chunk.anchor.message_id) == (f"Hi\n{QUESTION}", [1, 2], 2)


def test_a_single_short_message_is_a_chunk():
    (chunk,) = chunker.split_transcript(transcript(Line("Help!")), "Shop", LIMITS)
    assert chunk.text == "Help!"


def test_a_chat_of_short_lines_makes_several_chunks():
    chunks = chunker.split_transcript(transcript(*[Line(f"short line number {n}") for n in range(60)]), "Shop", LIMITS)
    assert len(chunks) > 3
    assert all(30 <= len(chunk.text) < 400 for chunk in chunks)


def test_a_longer_message_is_a_chunk_of_its_own():
    chunks = chunker.split_transcript(transcript(Line(QUESTION), agent(QUESTION + " Again.")), "Shop", LIMITS)
    assert [chunk.text for chunk in chunks] == [QUESTION, QUESTION + " Again."]


def test_the_context_names_role_inbox_and_previous_message():
    answer = "I need it in size forty-two, and I live in the north of Norway."
    _, chunk = chunker.split_transcript(transcript(agent(QUESTION), Line(answer)), "Shop", LIMITS)
    assert chunk.context == f"contact, Shop\nagent: {QUESTION}"


def test_a_long_message_is_split_at_sentences():
    text = " ".join(f"This is sentence number {n} of a long letter." for n in range(60))
    chunks = chunker.split_transcript(transcript(agent(QUESTION), Line(text)), "Shop", LIMITS)[1:]
    assert [chunk.index for chunk in chunks] == [0, 1, 2]
    assert all(chunk.text.endswith(".") and QUESTION in chunk.context for chunk in chunks)


def test_a_new_message_keeps_the_chunks_before_it():
    lines = [agent(QUESTION), Line("42"), Line(QUESTION), agent("Thanks for telling us all of this, Ivan.")]
    before = chunker.split_transcript(transcript(*lines), "Shop", LIMITS)
    after = chunker.split_transcript(
        transcript(*lines, Line("One more thing: can it be gift-wrapped?")), "Shop", LIMITS
    )
    assert [c.content_hash for c in after[: len(before)]] == [c.content_hash for c in before]


def test_attachments_have_a_text():
    stored = {"file_size": 10, "data_url": "https://chat.example.org/rails/blobs/x/size%20chart.pdf"}
    spoken = {"file_size": 10, "data_url": "https://x/a.ogg", "transcribed_text": "Please call me back"}
    place = {"fallback_title": "Bergen harbour", "data_url": "https://maps.example.org/?q=1"}
    files = messages(*[Line(None, attachments=[each]) for each in (stored, spoken, place)])
    assert [message_text(each) for each in files] == ["size chart.pdf", "Please call me back", "Bergen harbour"]
