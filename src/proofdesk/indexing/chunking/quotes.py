"""Telling what a message quotes from what its sender wrote, as mail programs mark it. Pure.

One pass over the lines, each looked at a bounded number of times: the time grows with the length of the text. A line
that somebody marks with `>` by hand has no header above it and stays theirs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_LONGEST_HEADER = 400  # characters; longer lines are nobody's header
_WRAPPED = 3  # lines over which mail programs break "On … wrote:"
_BLOCK = 8  # lines of "From: … Sent: …"
_DEEPEST = 20

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
# What the first line of a header that is broken over several begins with: a word for "on", a day, a number.
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
_NAMES = {
    "from": "from von de от от_кого da van från fra od expéditeur remitente mittente afzender",
    "date": "date sent gesendet datum enviado enviado_el fecha envoyé envoyé_le отправлено дата inviato data verzonden "
    "skickat sendt wysłano enviada_em",
    "to": "to an para à a кому aan till til do pour destinatario",
    "subject": "subject betreff asunto objet sujet тема oggetto assunto onderwerp ämne emne temat",
    "cc": "cc kopie copia copie копия",
}
_FIELDS = {name.replace("_", " "): kind for kind, names in _NAMES.items() for name in names.split()}
_FIELD = re.compile(r"\*{0,2}([^\W\d_]{1,12}(?: [^\W\d_]{1,8})?)\s?:\*{0,2}\s?(.{0,300})")
_NAME = re.compile(r"((?:[^\W\d_][\w.'’-]{0,40}[ ,]{0,2}){1,4})[\"']?\s?[(\[]{0,2}<?$")
_NO_NAMES = ("am", "pm", "am,", "pm,", "uhr", "uhr,")


@dataclass(frozen=True)
class Quote:
    """What somebody else wrote. `author` is the name that the header gives, else the address, else ""; `header` all of
    it. `depth` counts the quotes around it, and `forwarded` says that it was passed on rather than answered."""

    author: str
    header: str
    text: str
    depth: int
    forwarded: bool


class _Line(NamedTuple):
    level: int
    text: str
    raw: str


class _Header(NamedTuple):
    end: int  # the line after it
    text: str
    author: str
    forwarded: bool


@dataclass
class _Open:
    level: int
    marked: bool  # its lines are those with more marks than its header, else all that follow
    header: _Header
    depth: int
    lines: list[str] = field(default_factory=list)

    def covers(self, level: int) -> bool:
        return level > self.level if self.marked else level >= self.level


def split(text: str) -> tuple[str, list[Quote]]:
    """Return what the sender wrote, and what they quoted, in the order of the text."""
    if ":" not in text and "：" not in text and "--" not in text:
        return text, []
    lines = [_line(raw) for raw in text.replace("\\\n", "\n").splitlines()]
    own: list[str] = []
    quotes: list[_Open] = []
    opened: list[_Open] = []
    position = 0
    while position < len(lines):
        line = lines[position]
        header = _header(lines, position) if len(opened) < _DEEPEST else None
        if header:
            quote = _Open(line.level, _is_marked(lines, header.end, line.level), header, len(opened))
            opened = [each for each in opened if not each.marked or each.level < line.level]
            quote.depth = len(opened)
            opened.append(quote)
            quotes.append(quote)
            position = header.end
            continue
        owner = next((each for each in reversed(opened) if each.covers(line.level)), None)
        if owner:
            owner.lines.append(line.text)
        else:
            own.append(line.raw)
        position += 1
    if not quotes:
        return text, []
    return _without_rule(own), [_quote(quote) for quote in quotes if any(each.strip() for each in quote.lines)]


def _line(raw: str) -> _Line:
    marks = _MARKS.match(raw)
    return _Line(marks.group().count(">"), raw[marks.end() :].strip(), raw) if marks else _Line(0, raw.strip(), raw)


def _quote(opened: _Open) -> Quote:
    header = opened.header
    return Quote(header.author, header.text, _without_rule(opened.lines), opened.depth, header.forwarded)


def _without_rule(lines: list[str]) -> str:
    while lines and (not lines[-1].strip() or _RULE.fullmatch(lines[-1].strip(" >"))):
        lines.pop()
    return "\n".join(lines).strip()


def _is_marked(lines: Sequence[_Line], start: int, level: int) -> bool:
    following = next((line for line in lines[start : start + 4] if line.text), None)
    return following is not None and following.level > level


def _header(lines: Sequence[_Line], at: int) -> _Header | None:
    line = lines[at]
    if not line.text or len(line.text) > _LONGEST_HEADER:
        return None
    return _separated(lines, at) or _block(lines, at, named=False) or _wrote(lines, at)


def _separated(lines: Sequence[_Line], at: int) -> _Header | None:
    found = _SEPARATOR.fullmatch(lines[at].text)
    if not found or (lines[at].text[:1] not in "-_*=" and not lines[at].text.endswith(":")):
        return None
    forwarded = found["forward"] is not None
    start = at + 1
    while start < len(lines) and start < at + 3 and not lines[start].text:
        start += 1
    block = _block(lines, start, named=True) if start < len(lines) else None
    if block:
        return block._replace(forwarded=forwarded)
    return _Header(at + 1, lines[at].text, "", forwarded)


def _block(lines: Sequence[_Line], at: int, *, named: bool) -> _Header | None:
    """`named`: a line above says already that a message follows."""
    found: dict[str, str] = {}
    end = at
    for position in range(at, min(at + _BLOCK, len(lines))):
        line = lines[position]
        matched = _FIELD.fullmatch(line.text) if len(line.text) <= _LONGEST_HEADER else None
        kind = _FIELDS.get(matched[1].lower()) if matched else None
        if matched and kind and line.level == lines[at].level:
            found.setdefault(kind, matched[2].strip())
            end = position + 1
        elif not line.text or position > end or end == at:
            break
    told = " ".join(found.values())
    complete = "from" in found and (named or ("date" in found and ("to" in found or "subject" in found)))
    if not complete or not (named or "subject" in found or "@" in told):
        return None
    return _Header(end, told, _author(f"{found['from']}"), False)


def _wrote(lines: Sequence[_Line], at: int) -> _Header | None:
    text = ""
    for position in range(at, min(at + _WRAPPED, len(lines))):
        line = lines[position]
        if not line.text or line.level != lines[at].level or len(text) + len(line.text) > _LONGEST_HEADER:
            return None
        if position > at and (not _BEGINS.match(text) or lines[position - 1].text.endswith((".", "?", "!"))):
            return None
        text = f"{text} {line.text}".strip()
        if text.endswith((":", "：")):
            return _of_reply(lines, position + 1, text)
    return None


def _of_reply(lines: Sequence[_Line], end: int, text: str) -> _Header | None:
    timed, addressed = _TIMED.search(text), _ADDRESS.search(text)
    if not timed and not addressed:
        return None
    wrote = _WROTE.search(text) or (timed and _ADDRESS_LAST.search(text))
    if not wrote and not _is_marked(lines, end, lines[end - 1].level):
        return None
    return _Header(end, text, _author(text), False)


def _author(header: str) -> str:
    address = _ADDRESS.search(header)
    if not address:
        wrote = _WROTE.search(header)
        name = (wrote["then"].strip() or header[: wrote.start()]) if wrote else header
        return _plain(re.split(r"\d[.:,]?\s", name)[-1])
    name = _NAME.search(header[: address.start()].removesuffix("mailto:").rstrip())
    return (_plain(name[1]) if name else "") or address.group()


def _plain(name: str) -> str:
    words = name.strip(" ,.:<>\"'()[]*")[:120].split()
    while words and (words[0][0].islower() or words[0].lower() in _NO_NAMES):
        words.pop(0)
    return " ".join(words).strip(" ,")
