"""The mail relay that SMTP_URL names, and the sender that SMTP_FROM names."""

from dataclasses import dataclass
from email.headerregistry import Address, HeaderRegistry
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import email_validator
from email_validator import EmailNotValidError, validate_email

# The relay decides which domains receive mail: inside a company, .local or .test may be valid.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

Tls = Literal["implicit", "starttls", "none"]
_SCHEMES = {"smtp": 587, "smtps": 465}
_ALLOWED = "an address such as smtp://user:password@mail.example.com:587, smtps://… or smtp://…?tls=none"


@dataclass(frozen=True)
class Relay:
    """A mail relay. With `starttls`, a relay that does not support it is not used."""

    host: str
    port: int
    username: str | None
    password: str | None
    tls: Tls


def parse(url: str) -> Relay:
    """`smtp[s]://[user:password@]host[:port][?tls=starttls|none]`. `smtp` to this machine is plain unless `tls` is set.

    Raises ValueError with what is allowed.
    """
    try:
        parts = urlsplit(url.strip())
        options = parse_qs(parts.query, strict_parsing=bool(parts.query))
        port = parts.port or _SCHEMES[parts.scheme]
        tls = _tls(parts.scheme, parts.hostname or "", options.pop("tls", []))
    except (ValueError, KeyError):
        raise ValueError(f"name {_ALLOWED}") from None
    if not parts.hostname or parts.path not in ("", "/") or options or parts.fragment:
        raise ValueError(f"name {_ALLOWED}")
    username = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    if (username is None) != (password is None):
        raise ValueError(f"give both user and password, or neither; name {_ALLOWED}")
    return Relay(parts.hostname, port, username, password, tls)


def sender(text: str) -> Address:
    """`Name <address>` or an address. Raises ValueError with what is allowed."""
    wrong = ValueError("name one sender such as Studio <hello@example.com>")
    if any(c in text for c in "\r\n\0"):
        raise wrong
    header: Any = HeaderRegistry()("From", text)
    if len(header.addresses) != 1 or header.defects:
        raise wrong
    try:
        return Address(header.addresses[0].display_name, addr_spec=_ascii_domain(header.addresses[0].addr_spec))
    except (ValueError, EmailNotValidError):
        raise wrong from None


def _tls(scheme: str, host: str, options: list[str]) -> Tls:
    if scheme == "smtps" and not options:
        return "implicit"
    if scheme == "smtp" and not options:
        return "none" if _is_loopback(host) else "starttls"
    if scheme == "smtp" and options in (["starttls"], ["none"]):
        return "none" if options == ["none"] else "starttls"
    raise ValueError(options)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _ascii_domain(address: str) -> str:
    valid = validate_email(address, check_deliverability=False, globally_deliverable=False)
    return f"{valid.local_part}@{valid.ascii_domain}"
