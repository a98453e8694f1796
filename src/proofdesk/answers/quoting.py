"""Find quotes in the text of a message, whatever its white space, quotation marks and dashes. Pure."""

import re

_MARKS = str.maketrans(
    dict.fromkeys("“”„‟«»″〝〞", '"') | dict.fromkeys("‘’‚‛‹›′ʼ`", "'") | dict.fromkeys("‐‑‒–—−", "-")
)
_SPACE = re.compile(r"\s+")


def fold(text: str) -> str:
    """Return a text with one kind of quotation marks and dashes, and single spaces."""
    return _SPACE.sub(" ", text.translate(_MARKS)).strip()


def contains_quote(text: str, quote: str) -> bool:
    """Return whether a text contains a quote literally, apart from white space, quotation marks and dashes."""
    folded = fold(quote)
    return bool(folded) and folded in fold(text)
