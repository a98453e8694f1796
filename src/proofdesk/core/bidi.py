"""Names in one line of text, without characters that would change the order of the text around them.

Unicode's explicit formatting characters (UAX #9, section 2: LRE, RLE, PDF, LRO, RLO, LRI, RLI, FSI, PDI) reach beyond
the text that holds them unless they are closed, and an override shows letters in another order than they are stored in.
Marks (LRM, RLM, ALM) stay: they affect no other text, and Hebrew and Arabic names need them. Stored text is never
changed: only pages, command output, mail headers and replies of the bot are converted.
"""

import re

_FORMATTING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"


def without_formatting(text: str) -> str:
    """Return the text without explicit directional formatting: letters appear in their stored order.

    Unlike closing open characters, removing them is also correct for texts that are cut or joined before or after.
    """
    return _FORMATTING.sub("", text)


def isolated(name: str) -> str:
    """Return the name for the middle of a plain text, in its own direction and apart from the words around it."""
    return f"{_FIRST_STRONG_ISOLATE}{without_formatting(name)}{_POP_ISOLATE}"


def as_references(html: str) -> str:
    """Return HTML with explicit directional formatting as character references, which mean the same to a browser."""
    return _FORMATTING.sub(lambda found: f"&#x{ord(found[0]):X};", html)


def as_escapes(json: str) -> str:
    """Return JSON with explicit directional formatting as `\\uXXXX`, which means the same to programs."""
    return _FORMATTING.sub(lambda found: f"\\u{ord(found[0]):04x}", json)
