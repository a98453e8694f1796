"""Addresses in settings: validation, and display and links without credentials.

Functions that check an address raise `ValueError` with what is allowed; no message repeats the address, which may hold
a password.
"""

import os
import re
from ipaddress import ip_address
from urllib.parse import parse_qsl, unquote, urlsplit

import idna

_BROKEN = re.compile(r"[\x00-\x20\x7f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})|%00")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
_PORTS = {"http": 80, "https": 443}
_ESCAPES = "in a user or password, write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23 and % as %25"
_CREDENTIALS = re.compile(r"(?<=://)[^\s/]*@")
_BEFORE_HOST = re.compile(r"^([^@]*?://)?.*@", re.DOTALL)
_SECRET_PARAMETER = re.compile(
    r"(?<=[?&])([a-z0-9._~-]*(?:key|token|secret|password|passwd|sig|signature)=)[^&#\s\"'<>]+", re.IGNORECASE
)


def origin(text: str) -> str:
    """Return the origin: scheme, host in ASCII, and the port unless it is the default of the scheme."""
    text = text.strip()
    if _BROKEN.search(text):
        raise ValueError("a space or line break is in it; write an address such as https://desk.example.com")
    if not re.match("https?://", text, re.IGNORECASE):
        raise ValueError("begin it with https:// or http://, such as https://desk.example.com")
    try:
        parts, port = urlsplit(text), urlsplit(text).port
        host = _ascii_host(parts.hostname or "")
    except ValueError:
        raise ValueError("write a host and port as in https://desk.example.com:8443") from None
    if "@" in parts.netloc:
        raise ValueError("leave out the user and password; write an address such as https://desk.example.com")
    if parts.path not in ("", "/") or set(text) & {"?", "#"}:
        raise ValueError("leave out what follows the host, such as a path; write https://desk.example.com")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("write a port from 1 to 65535, or none")
    return f"{parts.scheme}://{host}" + ("" if port in (None, _PORTS[parts.scheme]) else f":{port}")


def service(text: str) -> str:
    """Return the base address of a service, without surrounding spaces and trailing slashes."""
    text = text.strip().rstrip("/")
    if _BROKEN.search(text):
        raise ValueError("a space or line break is in it; copy the address again")
    if "@" in text and not _has_readable_credentials(text):
        raise ValueError(f"write credentials as in https://user:password@host; {_ESCAPES}")
    return text


def without_credentials(url: str) -> str:
    """Return the address without credentials, for links."""
    return _CREDENTIALS.sub("", url)


def masked(url: str) -> str:
    """Return a text with masked credentials and secret parameters in its addresses, for display."""
    return _SECRET_PARAMETER.sub(r"\1********", _CREDENTIALS.sub("********@", url))


def masked_setting(address: str) -> str:
    """Return a setting that is one address, valid or not, with all that may be credentials masked."""
    return masked(_BEFORE_HOST.sub(r"\1********@", address))


def passwords(url: str) -> list[str]:
    """Return the password and the secret parameters of an address, as written and with escapes resolved."""
    try:
        words = [urlsplit(url).password or ""]
    except ValueError:
        words = []
    words += [match.group(0)[len(match.group(1)) :] for match in _SECRET_PARAMETER.finditer(url)]
    return [word for word in {*words, *map(unquote, words)} if word]


def _has_readable_credentials(url: str) -> bool:
    """Return whether an `@` ends credentials before a host, or stands in the path."""
    try:
        parts = urlsplit(url)
        return bool(parts.scheme and parts.hostname) and parts.netloc.count("@") < 2 and parts.port != 0
    except ValueError:  # what follows the colon is no port
        return False


def database(text: str) -> str:
    """Return a connection string of PostgreSQL that the driver can read: a URL, or `keyword=value` pairs."""
    text = text.strip()
    if _BROKEN.search(text.replace(" ", "")):
        raise ValueError("a line break or control character is in it; copy the address again")
    if "://" in text:
        _check_database_url(text)
    elif "=" not in text:
        raise ValueError("write an address such as postgresql://user:password@host:5432/database")
    _check_connection(_read(text), has_password=bool(passwords(text)))
    return text


def _check_database_url(text: str) -> None:
    scheme = text.partition("://")[0].lower()
    if scheme not in ("postgresql", "postgres"):
        what = "drivers such as +psycopg are not named here; " if "+" in scheme else ""
        raise ValueError(f"{what}begin it with postgresql://")
    if " " in text:
        raise ValueError("a space is in it; write it as %20")
    if _BAD_ESCAPE.search(text):
        raise ValueError(f"a % is not followed by two hexadecimal digits; {_ESCAPES}")
    known = {option.keyword.decode() for option in _options()} | {"ssl", "requiressl"}
    for name, _ in parse_qsl(text.partition("?")[2] if "@" not in text.partition("?")[2] else "", True):
        if name not in known:
            raise ValueError(f"remove the parameter {name[:40]!r}, which PostgreSQL does not know")


def _read(text: str) -> dict[str, str]:
    from psycopg import ProgrammingError, conninfo

    try:
        return {name: str(value) for name, value in conninfo.conninfo_to_dict(text).items()}
    except ProgrammingError:  # its message repeats the password
        raise ValueError("write an address such as postgresql://user:password@host:5432/database") from None


def _options() -> list:
    from psycopg import pq

    return pq.Conninfo.get_defaults()


def _check_connection(parts: dict[str, str], *, has_password: bool) -> None:
    """Check what libpq would report with the misread values, of which one may be the password."""
    if any("@" in parts.get(name, "") for name in ("host", "dbname")) and not parts.get("host", "").startswith("@"):
        raise ValueError(f"more than one @ or a / before it is in it; {_ESCAPES}")
    for port in parts.get("port", "").split(","):
        if port and not (port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError(f"the port must be a number from 1 to 65535; {_ESCAPES}")
    if has_password and not (parts.keys() & {"host", "hostaddr", "service"} or os.environ.get("PGHOST")):
        raise ValueError("no host is in it; write postgresql://user:password@host:5432/database")


def _ascii_host(host: str) -> str:
    if ":" in host:
        return f"[{ip_address(host)}]"
    if not host.isascii():
        host = idna.encode(host, uts46=True).decode()
    if not _HOST.fullmatch(host.lower()):
        raise ValueError(host)
    return host.lower()
