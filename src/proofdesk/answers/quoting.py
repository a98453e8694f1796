"""Find quotes in the text of a message, whatever its white space, quotation marks and dashes. Pure."""

from collections.abc import Iterator

_FOLDED = dict.fromkeys("“”„‟«»″〝〞", '"') | dict.fromkeys("‘’‚‛‹›′ʼ`", "'") | dict.fromkeys("‐‑‒–—−", "-")


def contains_quote(text: str, quote: str) -> bool:
    """Return whether a text contains a quote literally, apart from white space, quotation marks and dashes."""
    return locate_quote(text, quote) is not None


def locate_quote(text: str, quote: str) -> str | None:
    """Return the part of the text that a quote repeats, as the text has it; None when it does not."""
    folded = "".join(char for char, _ in _fold(quote)).strip()
    if not folded:
        return None
    places = list(_fold(text))
    start = "".join(char for char, _ in places).find(folded)
    if start < 0:
        return None
    return text[places[start][1] : places[start + len(folded) - 1][1] + 1]


def _fold(text: str) -> Iterator[tuple[str, int]]:
    """Yield the folded characters with their positions; a run of white space is one space."""
    space = False
    for position, char in enumerate(text):
        if char.isspace():
            if not space:
                yield " ", position
            space = True
        else:
            yield _FOLDED.get(char, char), position
            space = False
