"""Characters that are not visible."""

import unicodedata

INVISIBLE = dict.fromkeys(
    [
        *(0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x20E3, 0x2800, 0x3164, 0xFFA0, 0xFEFF, 0xFFFC),
        *range(0x180B, 0x1810), *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070),
        *range(0xFE00, 0xFE10), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000),
    ]
)  # fmt: skip
"""Characters that show nothing: default-ignorable code points, Hangul fillers, the blank of Braille."""


def looks_empty(text: str) -> bool:
    """Return whether a text has only spaces, control characters and invisible characters."""
    categories = (unicodedata.category(c)[0] for c in text.translate(INVISIBLE) if not c.isspace())
    return all(category in "CZM" for category in categories)
