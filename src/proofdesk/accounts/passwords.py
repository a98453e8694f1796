"""Passwords: Argon2id, computed in a thread, a few at a time because each takes 64 MiB."""

import secrets

import anyio
import anyio.to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MAX_LENGTH = 1024
"""Characters of the longest password that is looked at."""

_hasher = PasswordHasher()
_limiter = anyio.CapacityLimiter(4)
# The hash of a password that nobody has: verifying against it takes as long as against a real one.
_DUMMY_HASH = "$argon2id$v=19$m=65536,t=3,p=4$cHJvb2ZkZXNrLW5vYm9keQ$hD5gQhWqTnT9mMJmPfVhJmD0Xr0q3m1m3m2x4Qk9b3A"


async def hash_password(password: str) -> str:
    """The hash to store."""
    return await anyio.to_thread.run_sync(_hasher.hash, password, limiter=_limiter)


async def verify_password(stored: str | None, password: str) -> bool:
    """Whether the password is the one behind `stored`. Takes the same time when there is none (unknown user)."""
    if len(password) > MAX_LENGTH:
        return False
    return await anyio.to_thread.run_sync(_verify, stored, password, limiter=_limiter)


def generate_password() -> str:
    """A random password for a person to type: 96 bits."""
    return secrets.token_urlsafe(12)


def _verify(stored: str | None, password: str) -> bool:
    try:
        return _hasher.verify(stored or _DUMMY_HASH, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
