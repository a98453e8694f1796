"""The body of a webhook request and its signature."""

import hashlib
import hmac
import json

ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def body(payload: object) -> bytes:
    """Return compact JSON with HTML characters escaped, as Rails writes it."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    for character, escape in ESCAPES.items():
        text = text.replace(character, escape)
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8 form
        return json.dumps(payload, separators=(",", ":")).encode()


def sign(secret: str, timestamp: str, raw: bytes) -> str:
    """Return `sha256=` and the hex HMAC-SHA256 of timestamp, dot and raw body."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + raw, hashlib.sha256)
    return "sha256=" + digest.hexdigest()
