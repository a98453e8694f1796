"""Quotes: the headers of mail programs, and text that is no quote."""

import time

import pytest

from proofdesk.core.quotes import split_quotes
from proofdesk.indexing.chunking import attribution, chunker
from proofdesk.indexing.chunking.attribution import attribute_quotes
from proofdesk.indexing.chunking.chunker import ChunkLimits
from tests.support.transcripts import Line, agent, messages, transcript

OWN = "We have sent it today, and it will be there soon."
QUESTION = "Where is the blue coat that I ordered in February?"
FROM = "Ivan Petrov <ivan@example.org>"
OUTLOOK = f"Von: {FROM}\nGesendet: Montag, 2. März 2026 10:00\nAn: Desk <desk@example.com>\nBetreff: AW: Mantel"
HEADERS = {
    "Gmail": "On Mon, Mar 2, 2026 at 10:00 AM Ivan Petrov <ivan@example.org> wrote:",
    "Gmail, wrapped": "On Mon, Mar 2, 2026 at 10:00 AM Ivan Petrov\n<ivan@example.org>\nwrote:",
    "Apple Mail": "On 2 Mar 2026, at 10:00, Ivan Petrov <ivan@example.org> wrote:",
    "Thunderbird": "On 02/03/2026 10:00, Ivan Petrov wrote:",
    "Thunderbird, German": "Am 02.03.26 um 10:00 schrieb Ivan Petrov:",
    "Gmail, German": "Am Mo., 2. März 2026 um 10:00 Uhr schrieb Ivan Petrov <ivan@example.org>:",
    "Gmail, Russian": "пн, 2 мар. 2026 г. в 10:00, Ivan Petrov <ivan@example.org>:",
    "Mail.ru": "Понедельник, 2 марта 2026, 10:00 +03:00 от Ivan Petrov <ivan@example.org>:",
    "Apple Mail, Russian": "2 марта 2026 г., в 10:00, Ivan Petrov <ivan@example.org> написал(а):",
    "Gmail, Spanish": "El lun, 2 mar 2026 a las 10:00, Ivan Petrov (<ivan@example.org>) escribió:",
    "Gmail, French": "Le lun. 2 mars 2026 à 10:00, Ivan Petrov <ivan@example.org> a écrit :",
    "Gmail, Italian": "Il giorno lun 2 mar 2026 alle ore 10:00 Ivan Petrov <ivan@example.org> ha scritto:",
    "Gmail, Portuguese": "Em seg., 2 de mar. de 2026 às 10:00, Ivan Petrov <ivan@example.org> escreveu:",
    "Gmail, Dutch": "Op ma 2 mrt 2026 om 10:00 schreef Ivan Petrov <ivan@example.org>:",
    "Gmail, Polish": "pon., 2 mar 2026 o 10:00 Ivan Petrov <ivan@example.org> napisał(a):",
    "a language that is not known": "Ar 02/03/2026 10:00, scríobh Ivan Petrov <ivan@example.org> an méid seo:",
}
BLOCKS = {
    "Outlook": f"From: {FROM}\nSent: Monday, March 2, 2026 10:00 AM\nTo: Desk\nSubject: Re: Coat",
    "Outlook, bold": f"*From:* {FROM}\n*Sent:* Monday, 10:00\n*To:* Desk\n*Subject:* Re: Coat",
    "Outlook, with a rule": f"________________________________\n{OUTLOOK}",
    "Outlook, German": OUTLOOK,
    "Outlook, Russian": f"От: {FROM}\nОтправлено: 2 марта 2026 г. 10:00\nКому: Desk\nТема: Re: Пальто",
    "Outlook, Spanish": f"De: {FROM}\nEnviado el: lunes, 2 de marzo\nPara: Desk\nAsunto: RE: Abrigo",
    "Outlook, French": f"De : {FROM}\nEnvoyé : lundi 2 mars\nÀ : Desk\nObjet : RE: Manteau",
    "Outlook, old": "-----Original Message-----\nFrom: Ivan Petrov [mailto:ivan@example.org]\nSent: Monday\nTo: me",
}
ALL = HEADERS | BLOCKS


def marked(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.split("\n"))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("style", ["marked", "plain", "header marked too"])
@pytest.mark.fidelity(
    "Mail programs",
    "Each program and language introduces quoted mail differently.",
    "Gmail, Outlook, Apple Mail, Thunderbird: [quoted-words](decisions/quoted-words.md)",
)
def test_headers_of_mail_programs_name_the_author(name: str, style: str):
    if style != "marked" and name == "a language that is not known":
        return
    quoted = marked(QUESTION) if style == "marked" else QUESTION
    below = marked(f"{ALL[name]}\n\n{QUESTION}") if style == "header marked too" else f"{ALL[name]}\n{quoted}"
    if name in BLOCKS and style == "marked":
        below = f"{ALL[name]}\n\n{QUESTION}"
    own, quotes = split_quotes(f"{OWN}\n\n{below}")
    assert (own, [(q.author, q.text) for q in quotes]) == (OWN, [("Ivan Petrov", QUESTION)])


@pytest.mark.parametrize(
    "text",
    [
        "> 5 kilos is too heavy for me\nPlease advise.",
        "You said:\n> we send it on Monday\nand it is Friday now.",
        "We travel like this:\nFrom: Oslo\nTo: Bergen\nDate: 3 May\nPlease book it.",
        "Yesterday your colleague wrote:\nwe will refund you",
        "I called 2 days ago and they wrote down the following:\n- blue\n- size 42",
        "Note: a thing -- and another: thing",
        "Original message",
    ],
)
def test_typed_text_is_no_quote(text: str):
    assert split_quotes(text) == (text, [])


def test_answers_between_quoted_lines_belong_to_the_sender():
    text = f"{HEADERS['Gmail']}\n> Is it blue?\n\nYes, it is.\n\n> Is it warm?\n\nVery warm."
    own, [quote] = split_quotes(text)
    assert " ".join(own.split()) == "Yes, it is. Very warm."
    assert quote.text.split("\n")[0] == "Is it blue?" and "Is it warm?" in quote.text


def test_a_nested_quote_has_its_own_author():
    inner = f"{HEADERS['Gmail'].replace('Ivan Petrov', 'Anna Berg')}\n> First words."
    own, quotes = split_quotes(f"{OWN}\n\n{HEADERS['Gmail']}\n{marked(f'{QUESTION}{chr(10)}{inner}')}")
    assert own == OWN
    assert [(q.author, q.text, q.depth) for q in quotes] == [
        ("Ivan Petrov", QUESTION, 0),
        ("Anna Berg", "First words.", 1),
    ]


HOSTILE = {
    "one letter": "a" * 150_000,
    "dots": "." * 150_000,
    "marks": ">" * 150_000,
    "colons": ":" * 150_000,
    "spaces": " " * 150_000,
    "line breaks": "\n" * 150_000,
    "marked line breaks": ">\n" * 75_000,
    "fields": "From: a@b.example\n" * 8_000,
    "headers": "On 1.1.2020 a@b.example wrote:\n" * 5_000,
    "nested headers": "".join(">" * (n % 400) + "On 1.1.2020 a@b.example wrote:\n" for n in range(700)),
    "rules": "-" * 150_000,
    "digits": "1" * 150_000,
    "names": "Ab " * 50_000,
    "lines of names": ("Ab " * 120 + ":\n") * 400,
    "addresses": "a@" * 75_000,
    "short addresses": ("a@" * 180 + " 10:00:\n") * 400,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_splitting_quotes_takes_linear_time(name: str):
    conversation = messages(Line(HOSTILE[name]), agent(HOSTILE[name]))
    started = time.perf_counter()
    attribute_quotes(conversation)
    assert time.perf_counter() - started < 5  # measured: below one second


LIMITS = ChunkLimits(1000, 30)


def by_sender(*lines: Line) -> list[tuple[int, str, str]]:
    return [
        (c.anchor.message_id, c.anchor.sender_type, c.text)
        for c in chunker.split_transcript(transcript(*lines), "Shop", LIMITS)
    ]


@pytest.mark.parametrize("name", ALL)
def test_chunks_of_an_agent_contain_no_quotes(name: str):
    reply = agent(f"{OWN}\n\n{ALL[name]}\n\n{marked(QUESTION) if name in HEADERS else QUESTION}")
    assert by_sender(Line(QUESTION, name="Ivan Petrov"), reply) == [(1, "contact", QUESTION), (2, "agent", OWN)]


def test_a_new_quote_becomes_a_chunk_of_its_author():
    reply = agent(f"{OWN}\n\n{HEADERS['Gmail']}\n{marked(QUESTION)}")
    again = agent(f"Once more: it was sent, and should be with you now.\n\n{HEADERS['Gmail']}\n{marked(QUESTION)}")
    chunks = chunker.split_transcript(transcript(reply, again), "Shop", LIMITS)
    assert [(c.anchor.sender_type, c.anchor.quoted_from, c.index) for c in chunks] == [
        ("agent", None, 0),
        ("contact", "Ivan Petrov", 1),
        ("agent", None, 0),
    ]
    assert chunks[1].text == QUESTION and chunks[1].covers == [1]


def test_a_quoted_agent_is_the_author_of_the_quote():
    head = HEADERS["Gmail, German"].replace("Ivan Petrov <ivan@example.org>", "Anna <desk@example.com>")
    mail = Line(f"{QUESTION}\n\n{head}\n{marked('An offer that is not stored: coats at half the price.')}")
    chunks = by_sender(mail, agent("Thank you for your interest in our coats, Ivan."))
    assert chunks[1][1:] == ("agent", "An offer that is not stored: coats at half the price.")


def test_forwarded_text_stays_on_the_side_of_the_contact():
    mail = Line(
        f"Please look.\n\n---------- Forwarded message ---------\n{BLOCKS['Outlook']}\n\nThe parcel was lost at sea."
    )
    chunk = chunker.split_transcript(transcript(mail), "Shop", LIMITS)[-1]
    assert (chunk.anchor.sender_type, chunk.anchor.quoted_from) == ("contact", "Ivan")


def test_rewrapped_quotes_are_recognized():
    wrapped = QUESTION.replace(" that", "\n> that")
    assert by_sender(Line(QUESTION), agent(f"{OWN}\n\n{HEADERS['Gmail']}\n> {wrapped}"))[1:] == [(2, "agent", OWN)]


def test_exact_copies_need_no_comparison_of_words(monkeypatch: pytest.MonkeyPatch):
    def fail(words: list[str]) -> None:
        raise AssertionError(words)

    reply = agent(f"{OWN}\n\n{HEADERS['Gmail']}\n{marked(QUESTION)}")
    monkeypatch.setattr(attribution, "_runs", fail)
    assert by_sender(Line(QUESTION, name="Ivan Petrov"), reply) == [(1, "contact", QUESTION), (2, "agent", OWN)]
