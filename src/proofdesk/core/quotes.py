"""Separates what the sender of a message wrote from the e-mails that it quotes. Pure.

One pass over the lines, each examined a bounded number of times: the time is linear in the length of the text. A line
with `>` and no header above it belongs to the sender.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_MAX_HEADER_CHARS = 400  # a longer line is no header
_MAX_REPLY_LINES = 3  # over which mail programs wrap "On … wrote:"
_MAX_BLOCK_LINES = 8  # of "From: … Sent: …"
_MAX_DEPTH = 20
_FIELD_NAME_END = 30  # characters within which the name of a field ends
_COLONS = (":", "：")

_MARKS = re.compile(r"(?:[ \t]{0,3}>)+ ?")
_ADDRESS = re.compile(r"[^\s<>()\[\]:;,\"]{1,64}@[^\s<>()\[\]:;,\"]{1,190}")
_TIMED = re.compile(
    r"\b\d{1,2}[.:h]\d{2}\b|\b(?:19|20)\d\d\b|\b\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b|\d{4}年|\d{1,2}:\d{2}"
)
_WROTE = re.compile(
    r"(?:\bwrote|\bschrieb|a écrit|\bescribió|\bescreveu|ha scritto|\bscrisse|\bnapisał(?:\(a\)|a)?"
    r"|\bnapsal(?:\(a\)|a)?|\bschreef|geschreven|\bskrev|\bkirjoitti|\byazdı|написал(?:\(а\)|а)?|\bпишет|написав|написала|\bпише|写道|のメール)"
    r"(?P<then>[^\n]{0,120})[:：]$",
    re.IGNORECASE,
)
# The first line of a wrapped header begins with a word for "on", a weekday or a number.
_BEGINS = re.compile(
    r"\W{0,3}(?:\d|(?:on|am|le|el|il giorno|il|em|op|den|dne|dnia|w dniu|в|ma|di|wo|do|vr|za|zo)\b|[^\W\d_]{2,12}[.,])",
    re.IGNORECASE,
)
_ADDRESS_LAST = re.compile(r"@[^\s<>]{1,190}>\s?[:：]$")
_SEPARATOR = re.compile(
    r"[-_*=]{0,40} ?(?:(?P<forward>forwarded message|begin forwarded message|weitergeleitete nachricht"
    r"|anfang der weitergeleiteten (?:nachricht|e-mail)|message transféré|début du message (?:transféré|réexpédié)"
    r"|mensaje reenviado|inicio del mensaje reenviado|mensagem encaminhada|messaggio inoltrato|doorgestuurd bericht"
    r"|пересылаемое сообщение|пересланное сообщение)"
    r"|original message|original appointment|ursprüngliche nachricht|mensaje original|message d['’]origine"
    r"|message original|mensagem original|messaggio originale|oorspronkelijk bericht|исходное сообщение"
    r"|originalnachricht|ursprungligt meddelande|wiadomość oryginalna) ?:?[-_*=]{0,40}",
    re.IGNORECASE,
)
_RULE = re.compile(r"[-_*=]{5,}")
_LONG_RULE = re.compile(r"_{10,}")
_FIELD_NAMES = {
    "from": "from von de от от_кого da van från fra od expéditeur remitente mittente afzender",
    "date": "date datum fecha дата data",
    "sent": "sent gesendet enviado enviado_el envoyé envoyé_le отправлено inviato verzonden skickat sendt wysłano "
    "enviada_em",
    "to": "to an para à a кому aan till til do pour destinatario",
    "subject": "subject betreff asunto objet sujet тема oggetto assunto onderwerp ämne emne temat",
    "cc": "cc kopie copia copie копия",
}
_FIELDS = {name.replace("_", " "): kind for kind, names in _FIELD_NAMES.items() for name in names.split()}
_FIELD = re.compile(r"\*{0,2}([^\W\d_]{1,12}(?: [^\W\d_]{1,8})?)\s?:\*{0,2}\s?(.{0,300})")
_NAME = re.compile(r"((?:[^\W\d_][\w.'’-]{0,40}[ ,]{0,2}){1,4})[\"']?\s?[(\[]{0,2}<?$")
_NOT_NAMES = ("am", "pm", "am,", "pm,", "uhr", "uhr,")


@dataclass(frozen=True)
class Quote:
    """Words of somebody else in a message.

    `author` is the name in the header, else the address, else ""; `header` is the whole header. `depth` counts the
    quotes around it; `forwarded` tells that the sender passed it on instead of answering it.
    """

    author: str
    header: str
    text: str
    depth: int
    forwarded: bool


class _Line(NamedTuple):
    level: int  # number of `>` before the text
    text: str
    raw: str


class _Header(NamedTuple):
    end: int  # the line after it
    text: str
    author: str
    forwarded: bool


@dataclass
class _OpenQuote:
    level: int
    marked: bool  # whether its lines have more `>` than its header; otherwise all following lines belong to it
    header: _Header
    depth: int
    lines: list[str] = field(default_factory=list)

    def covers(self, level: int) -> bool:
        return level > self.level if self.marked else level >= self.level


def split_quotes(text: str, *, lenient: bool = False) -> tuple[str, list[Quote]]:
    """Return what the sender wrote, and the quotes in the order of the text.

    `lenient` also accepts weak headers: "Anna wrote:" without a date, a single "From:" with an address, a long rule.
    """
    if not any(sign in text for sign in (*_COLONS, "--", "__")):
        return text, []
    lines = [_parse_line(raw) for raw in text.replace("\\\n", "\n").splitlines()]
    own, quotes = _assign_lines(lines, lenient=lenient)
    if not quotes:
        return text, []
    return _strip_rules(own), [_finished(quote) for quote in quotes if any(line.strip() for line in quote.lines)]


def _assign_lines(lines: Sequence[_Line], *, lenient: bool) -> tuple[list[str], list[_OpenQuote]]:
    """Return the lines of the sender, and the quotes with theirs."""
    own: list[str] = []
    quotes: list[_OpenQuote] = []
    stack: list[_OpenQuote] = []
    position = 0
    while position < len(lines):
        line = lines[position]
        header = _find_header(lines, position, lenient=lenient) if len(stack) < _MAX_DEPTH else None
        if header:
            stack = [quote for quote in stack if not quote.marked or quote.level < line.level]
            quote = _OpenQuote(line.level, _is_marked(lines, header.end, line.level), header, len(stack))
            stack.append(quote)
            quotes.append(quote)
            position = header.end
            continue
        owner = next((quote for quote in reversed(stack) if quote.covers(line.level)), None)
        if owner:
            owner.lines.append(line.text)
        else:
            own.append(line.raw)
        position += 1
    return own, quotes


def _parse_line(raw: str) -> _Line:
    marks = _MARKS.match(raw) if ">" in raw else None
    return _Line(marks.group().count(">"), raw[marks.end() :].strip(), raw) if marks else _Line(0, raw.strip(), raw)


def _finished(quote: _OpenQuote) -> Quote:
    header = quote.header
    return Quote(header.author, header.text, _strip_rules(quote.lines), quote.depth, header.forwarded)


def _strip_rules(lines: list[str]) -> str:
    while lines and (not lines[-1].strip() or _RULE.fullmatch(lines[-1].strip(" >"))):
        lines.pop()
    return "\n".join(lines).strip()


def _is_marked(lines: Sequence[_Line], start: int, level: int) -> bool:
    following = next((line for line in lines[start : start + 4] if line.text), None)
    return following is not None and following.level > level


def _find_header(lines: Sequence[_Line], at: int, *, lenient: bool) -> _Header | None:
    text = lines[at].text
    if not text or len(text) > _MAX_HEADER_CHARS:
        return None
    # Most lines are no header: these tests cost a fraction of the patterns.
    if text[0] in "-_*=" or text.endswith(":"):
        if header := _separator(lines, at):
            return header
        if lenient and _LONG_RULE.fullmatch(text):
            return _Header(at + 1, text, "", forwarded=False)
    if ":" in text[:_FIELD_NAME_END] and (header := _field_block(lines, at, named=False, lenient=lenient)):
        return header
    if any(line.text.endswith(_COLONS) for line in lines[at : at + _MAX_REPLY_LINES]):
        return _reply_line(lines, at, lenient=lenient)
    return None


def _separator(lines: Sequence[_Line], at: int) -> _Header | None:
    match = _SEPARATOR.fullmatch(lines[at].text)
    if not match:
        return None
    forwarded = match["forward"] is not None
    start = at + 1
    while start < len(lines) and start < at + 3 and not lines[start].text:
        start += 1
    block = _field_block(lines, start, named=True, lenient=False) if start < len(lines) else None
    return block._replace(forwarded=forwarded) if block else _Header(at + 1, lines[at].text, "", forwarded)


def _field_block(lines: Sequence[_Line], at: int, *, named: bool, lenient: bool) -> _Header | None:
    """Return the header that "From: … Sent: …" makes; `named` tells that a separator above announces a message."""
    fields: dict[str, str] = {}
    end = at
    for position in range(at, min(at + _MAX_BLOCK_LINES, len(lines))):
        line = lines[position]
        match = _FIELD.fullmatch(line.text) if len(line.text) <= _MAX_HEADER_CHARS else None
        kind = _FIELDS.get(match[1].lower()) if match else None
        if match and kind and line.level == lines[at].level:
            fields.setdefault(kind, match[2].strip())
            end = position + 1
        elif not line.text or position > end or end == at:
            break
    if "from" not in fields or not (named or _is_mail(fields, lenient=lenient)):
        return None
    return _Header(end, " ".join(fields.values()), _author(fields["from"]), forwarded=False)


def _is_mail(fields: dict[str, str], *, lenient: bool) -> bool:
    """Return whether fields are those of an e-mail: "From: Oslo, To: Bergen, Date: 3 May" are not."""
    if lenient and ("@" in fields["from"] or "sent" in fields):
        return True
    complete = bool(fields.keys() & {"date", "sent"}) and bool(fields.keys() & {"to", "subject"})
    return complete and ("subject" in fields or any("@" in value for value in fields.values()))


def _reply_line(lines: Sequence[_Line], at: int, *, lenient: bool) -> _Header | None:
    """Return the header that "On … wrote:" makes, which may be wrapped."""
    text = ""
    for position in range(at, min(at + _MAX_REPLY_LINES, len(lines))):
        line = lines[position]
        if not line.text or line.level != lines[at].level or len(text) + len(line.text) > _MAX_HEADER_CHARS:
            return None
        if position > at and (not _BEGINS.match(text) or lines[position - 1].text.endswith((".", "?", "!"))):
            return None
        text = f"{text} {line.text}".strip()
        if text.endswith(_COLONS):
            marked = _is_marked(lines, position + 1, line.level)
            is_header = _is_reply_header(text, marked=marked, lenient=lenient)
            return _Header(position + 1, text, _author(text), forwarded=False) if is_header else None
    return None


def _is_reply_header(text: str, *, marked: bool, lenient: bool) -> bool:
    timed, wrote = _TIMED.search(text), _WROTE.search(text)
    if not timed and not ("@" in text and _ADDRESS.search(text)):
        return lenient and wrote is not None
    return wrote is not None or marked or (timed is not None and _ADDRESS_LAST.search(text) is not None)


def _author(header: str) -> str:
    address = _ADDRESS.search(header) if "@" in header else None
    if not address:
        wrote = _WROTE.search(header)
        name = (wrote["then"].strip() or header[: wrote.start()]) if wrote else header
        return _clean_name(re.split(r"\d[.:,]?\s", name)[-1])
    name = _NAME.search(header[: address.start()].removesuffix("mailto:").rstrip())
    return (_clean_name(name[1]) if name else "") or address.group()


def _clean_name(name: str) -> str:
    words = name.strip(" ,.:<>\"'()[]*")[:120].split()
    while words and (words[0][0].islower() or words[0].lower() in _NOT_NAMES):
        words.pop(0)
    return " ".join(words).strip(" ,")
