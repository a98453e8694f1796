"""Messages that opt out by their words, and texts that are not visible."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofdesk.outbound.channels import registry
from proofdesk.outbound.channels.interface import InvalidPayload
from proofdesk.outbound.channels.invisible import INVISIBLE
from proofdesk.outbound.opt_outs.words import OptOutWords, normalize
from proofdesk.settings import Settings

LIST = Settings().opt_out_words
WORDS = OptOutWords([*LIST, "रोको", "停止", "توقف", "🛑"])
INVISIBLE = [chr(c) for c in INVISIBLE if c not in (0x20E3,)]
QUOTES = [
    "On Mon, 3 Nov 2025 at 10:00, Studio <a@studio.example> wrote:\n> Hello\n> Please answer.",
    "On Mon, 3 Nov 2025 at 10:00, Studio\n<a@studio.example> wrote:\n\nHello",
    "Am 03.11.2025 um 10:00 schrieb Studio <a@studio.example>:\n> Hallo",
    "Le lun. 3 nov. 2025 à 10:00, Studio a écrit :\n> Bonjour",
    "3 нояб. 2025 г., в 10:00, Студия <a@studio.example> написал(а):\n> Привет",
    "-----Original Message-----\nFrom: Studio\nSubject: x\n\nHello",
    "________________________________\nVon: Studio <a@studio.example>\nGesendet: Montag\n\nHallo",
    "От: Студия <a@studio.example>\nДата: понедельник\n\nПривет",
    "From: Studio\nSent: Monday\nTo: Ada\n\nHello",
]
SIGNATURES = [
    "Sent from my iPhone", "Von meinem iPhone gesendet", "Envoyé de mon iPhone", "Enviado desde mi iPhone",
    "Inviato da iPhone", "Enviado do meu iPhone", "Verstuurd vanaf mijn iPhone", "Отправлено с iPhone",
    "Get Outlook for iOS", "Gesendet mit der GMX Mail App", "-- \nAda Lovelace\nStudio",
    "Diese Nachricht wurde von meinem Android-Gerät mit K-9 Mail gesendet.", "Отправлено из мобильной Почты Mail.ru",
]  # fmt: skip

around = st.text(st.sampled_from([*INVISIBLE, *" \t\n.,!?…«»()[]*_-–🙏😀❤️👍🏽🛑"]), max_size=8)
hidden = st.text(st.sampled_from(INVISIBLE), max_size=2)
cases = st.sampled_from([str.lower, str.upper, str.capitalize, str.title])


@given(word=st.sampled_from(LIST), before=around, after=around, inside=hidden, case=cases, wide=st.booleans())
@settings(max_examples=300, deadline=None)
def test_opt_out_word_is_found_in_any_form(word: str, before: str, after: str, inside: str, case: Callable[[str], str], wide: bool):  # fmt: skip  # noqa: E501
    text = inside.join(case(word))
    if wide:
        text = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
    assert WORDS.matches(before + text + after)


@given(word=st.sampled_from(LIST), signature=st.sampled_from(["", *SIGNATURES]), quote=st.sampled_from(["", *QUOTES]))
@settings(max_examples=200, deadline=None)
def test_opt_out_word_is_found_above_signature_and_quote(word: str, signature: str, quote: str):
    assert WORDS.matches("\n\n".join(filter(None, (word, signature, quote))))


@given(word=st.sampled_from(LIST), more=st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20))
@settings(max_examples=200, deadline=None)
def test_opt_out_word_within_a_sentence_does_not_count(word: str, more: str):
    if normalize(more) not in {"", normalize(word)}:
        for text in (f"{word} {more}", f"{more} {word}", f"{more}\n{word}", f"{word}\n{more}"):
            assert WORDS.matches(text) == (normalize(text) in {normalize(opt_out_word) for opt_out_word in LIST})


@pytest.mark.parametrize(
    "text",
    ["Please don't stop", "STOP 12345", "stop by tomorrow", "Stop stop", "unsubscribed", "stopp", "Nonstop", "", " ",
     "Don’t STOP!", "STOP?\nNo, go on", "1️⃣", "> STOP", "> STOP\n> now", "Thanks!\n> STOP",
     "Thanks!\n\nOn Mon, 3 Nov 2025, Ada wrote:\n> STOP", "On Mon, 3 Nov 2025, Ada wrote:\n\nSTOP",
     "Sent from my iPhone", "Ja gerne\n\nVon meinem iPhone gesendet\n\nSTOP", "-----Original Message-----\nSTOP",
     "\u200b\ufeff", "⠀", "Fine\n\nVon: Ada <a@b.example>\nGesendet: Montag\n\nSTOP", "stop " * 500],
)  # fmt: skip
def test_other_messages_are_not_opt_outs(text: str):
    assert not WORDS.matches(text)


@pytest.mark.parametrize(
    "text",
    ["ＳＴＯＰ", "S\u200bT\u200bO\u200bP", "\ufeffStop", "\u202eSTOP\u202c", "st\u00adop", "De\u0301sabonner",
     "OPT-OUT", "opt_out", "«Opt out»", "रोको।", "停止。", "توقف", "\u200fتوقف\u200f!", "🛑", "🛑\ufe0f", "STOP 🙏🏽",
     "On Mon, 3 Nov 2025, Studio wrote:\n> Hello\n\nSTOP", "> Hello\n> STOP it\nStop."],
)  # fmt: skip
def test_other_forms_of_a_word_count(text: str):
    assert WORDS.matches(text)


@pytest.mark.parametrize("channel", ["chatwoot", "email", "telegram"])
@pytest.mark.parametrize("field", ["text", "content", "body"])
@given(
    text=st.text(st.sampled_from([*INVISIBLE, " ", "\n", "\t", "\u00a0", "\u3000", "\u0301"]), min_size=1, max_size=9)
)
@settings(max_examples=25, deadline=None)
def test_invisible_text_cannot_be_drafted(channel: str, field: str, text: str):
    recipient = {"chatwoot": "cw:4a1e5a0e-0000-4000-8000-000000000000:1:2", "email": "a@b.example", "telegram": "7"}
    with pytest.raises(InvalidPayload, match="must not be empty"):
        registry.check_message(channel, recipient[channel], {field: text})


@pytest.mark.parametrize("name", ["subject", "html"])
def test_invisible_part_of_an_email_is_refused(name: str):
    with pytest.raises(InvalidPayload, match="must not be empty"):
        registry.check_message("email", "a@b.example", {"text": "Hello", name: "\u2800\u3164\u200b"})


@pytest.mark.parametrize("said", ["👍", "❤️", ".", "а", "नमस्ते", "0", "👨‍👩‍👧"])
def test_short_visible_text_can_be_drafted(said: str):
    assert registry.check_message("telegram", "7", {"text": said})[1] == {"text": said}
