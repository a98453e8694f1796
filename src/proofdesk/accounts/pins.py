"""The key of PINs, and the hash of a PIN that is stored."""

import hashlib
import hmac
from uuid import UUID

from proofdesk.settings import Settings


def key_fingerprint(settings: Settings) -> str:
    """Return a short hash of the key of PINs. It has 20 bits, too few to find the key by trying."""
    return hashlib.sha256(b"proofdesk pin key\0" + _pin_key(settings)).hexdigest()[:5]


def pin_hash(settings: Settings, request_id: UUID, pin: str) -> bytes:
    """Return the keyed hash of a PIN of a request."""
    return hmac.new(_pin_key(settings), f"{request_id}:{pin.strip()}".encode(), hashlib.sha256).digest()


def _pin_key(settings: Settings) -> bytes:
    # With the table and the key, a million PINs are tried in a second; so the key is never in the database.
    if settings.signup_pin_secret is not None:
        return settings.signup_pin_secret.get_secret_value().encode()
    token = settings.telegram_bot_token.get_secret_value() if settings.telegram_bot_token else ""
    return hashlib.sha256(b"proofdesk signup pin\0" + token.encode()).digest()
