"""Password hashes with Argon2id, computed in threads, a few at a time since each takes 64 MiB."""

import secrets

import anyio
import anyio.to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MAX_LENGTH = 1024
"""Longest password in characters that is checked."""

_hasher = PasswordHasher()
_limiter = anyio.CapacityLimiter(4)
# Verifying against this hash, which fits no password, takes as long as against a real one.
_DUMMY_HASH = "$argon2id$v=19$m=65536,t=3,p=4$cHJvb2ZkZXNrLW5vYm9keQ$hD5gQhWqTnT9mMJmPfVhJmD0Xr0q3m1m3m2x4Qk9b3A"


async def hash_password(password: str) -> str:
    """Return the hash to store."""
    return await anyio.to_thread.run_sync(_hasher.hash, password, limiter=_limiter)


async def verify_password(stored: str | None, password: str) -> bool:
    """Return whether the password fits the hash. It takes the same time if there is no hash (unknown user)."""
    if len(password) > MAX_LENGTH:
        return False
    return await anyio.to_thread.run_sync(_verify, stored, password, limiter=_limiter)


def generate_password() -> str:
    """Return a random password of 96 bits that a person can type."""
    return secrets.token_urlsafe(12)


def _verify(stored: str | None, password: str) -> bool:
    try:
        return _hasher.verify(stored or _DUMMY_HASH, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
