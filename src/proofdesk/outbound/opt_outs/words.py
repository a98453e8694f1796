"""Words by which people opt out: whether the whole of what somebody wrote is one of them.

"Whole" is without what nobody sees or means: invisible characters, width and case of letters, punctuation, emoji, the
signature of a telephone, and quoted mail. The stored text is only read.
"""

import re
import unicodedata
from collections.abc import Iterable

from proofdesk.core.quotes import split_quotes
from proofdesk.outbound.channels.invisible import INVISIBLE

MAX_LENGTH = 2000
"""Characters of a message that are looked at; a longer one says more than a word."""

_SIGNATURE = re.compile(
    r"(sent (from|with|via|using)|get outlook|yahoo mail for|gesendet (von|mit|über|aus)|von meine[mr] .* gesendet"
    r"|diese nachricht wurde .* gesendet|holen sie sich outlook|outlook (für|for|pour|para|per|voor) "
    r"|envoyé (de|depuis|à partir|avec)|obtenir outlook|télécharger outlook|enviado (desde|do|da|de|a partir|com)"
    r"|obtener outlook|obter o outlook|inviato (da|dal|con)|scarica outlook|ottieni outlook"
    r"|(verstuurd|verzonden) (vanaf|met|via|vanuit)|outlook downloaden|отправлено (с|из|от|через)|скачать outlook)\b"
)


class OptOutWords:
    """The words of one installation, in any language."""

    def __init__(self, words: Iterable[str]):
        seen = {w: normalize(w) for w in words}
        self._words = {word for word in seen.values() if word}
        self._symbols = {_visible(word).strip() for word, letters in seen.items() if not letters} - {""}

    def matches(self, text: str) -> bool:
        """Return whether a message is one of the words and nothing else."""
        said = extract_new_text(text[:MAX_LENGTH])
        return normalize(said) in self._words or said.strip() in self._symbols


def normalize(text: str) -> str:
    """Return the letters and digits of a text in one form, with one space for whatever stands between them."""
    kept = (c if unicodedata.category(c)[0] in "LMN" else " " for c in _visible(text))
    return " ".join("".join(kept).split())


def extract_new_text(text: str) -> str:
    """Return what the author wrote themselves, in one form: no quoted mail, no signature of a program."""
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
    """The text as it reads: full width and compatibility forms made plain, small letters, nothing invisible."""
    composed = unicodedata.normalize("NFKC", text.translate(INVISIBLE))
    return unicodedata.normalize("NFKC", composed.translate(INVISIBLE).casefold())
