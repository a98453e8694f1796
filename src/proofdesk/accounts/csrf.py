"""CSRF tokens: our pages send the session's token with every change, and other sites cannot read it."""

import hmac
import secrets

from proofdesk.errors import Denied

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class CsrfInvalid(Denied):
    """The request does not carry the session's token."""

    code = "csrf_invalid"


def create_token() -> str:
    """Return a new token of 256 bits."""
    return secrets.token_urlsafe(32)


def check(expected: str, presented: str | None) -> None:
    """Compare the tokens in constant time. Raises `CsrfInvalid`."""
    if not hmac.compare_digest(expected.encode(), (presented or "").encode("utf-8", "replace")):
        raise CsrfInvalid(
            "The x-csrf-token header does not match this session. Reload the page, or sign in again.", status=403
        )


def check_fetch_site(site: str | None, origin: str | None, allowed: list[str]) -> None:
    """Refuse a login that another site sends, since there is no session yet whose token could be checked.

    `site` is the browser's Sec-Fetch-Site; `same-site` is another host of the same domain, which is not trusted either.
    Raises `CsrfInvalid`.
    """
    if site in ("cross-site", "same-site") and origin not in allowed:
        raise CsrfInvalid("Signing in from another site is not allowed. Open Proofdesk's own login page.", status=403)
