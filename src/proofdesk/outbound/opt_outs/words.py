"""Opt-out words: whether a whole message is one of them.

Invisible characters, the width and case of letters, punctuation, emoji, the signature of a mail program and quoted
e-mail do not count. The stored text is not changed.
"""

import re
import unicodedata
from collections.abc import Iterable

from proofdesk.core.quotes import split_quotes
from proofdesk.outbound.channels.invisible import INVISIBLE

MAX_LENGTH = 2000
"""Characters of a message that are read. A longer message says more than an opt-out word."""

_SIGNATURE = re.compile(
    r"(sent (from|with|via|using)|get outlook|yahoo mail for|gesendet (von|mit|über|aus)|von meine[mr] .* gesendet"
    r"|diese nachricht wurde .* gesendet|holen sie sich outlook|outlook (für|for|pour|para|per|voor) "
    r"|envoyé (de|depuis|à partir|avec)|obtenir outlook|télécharger outlook|enviado (desde|do|da|de|a partir|com)"
    r"|obtener outlook|obter o outlook|inviato (da|dal|con)|scarica outlook|ottieni outlook"
    r"|(verstuurd|verzonden) (vanaf|met|via|vanuit)|outlook downloaden|отправлено (с|из|от|через)|скачать outlook)\b"
)


class OptOutWords:
    """The opt-out words of one installation, in any language."""

    def __init__(self, words: Iterable[str]):
        normalized = {word: normalize(word) for word in words}
        self._words = {letters for letters in normalized.values() if letters}
        self._symbols = {_visible(word).strip() for word, letters in normalized.items() if not letters} - {""}

    def matches(self, text: str) -> bool:
        """Return whether a message is one of the words and nothing else."""
        text = extract_new_text(text[:MAX_LENGTH])
        return normalize(text) in self._words or text.strip() in self._symbols


def normalize(text: str) -> str:
    """Return the letters and digits of a text in one form, with one space for anything between them."""
    characters = (c if unicodedata.category(c)[0] in "LMN" else " " for c in _visible(text))
    return " ".join("".join(characters).split())


def extract_new_text(text: str) -> str:
    """Return what the author wrote themselves, without quoted e-mail and the signature of a mail program."""
    own, _ = split_quotes(_visible(text).replace("\r\n", "\n").replace("\r", "\n"), lenient=True)
    kept: list[str] = []
    for line in own.split("\n"):
        bare = line.strip()
        if bare in ("--", "—") or ("".join(kept).strip() and _SIGNATURE.match(bare)):
            break
        if not bare.startswith((">", "|")):
            kept.append(line)
    return "\n".join(kept)


def _visible(text: str) -> str:
    """Return a text in small letters, without compatibility forms and invisible characters."""
    composed = unicodedata.normalize("NFKC", text.translate(INVISIBLE))
    return unicodedata.normalize("NFKC", composed.translate(INVISIBLE).casefold())
