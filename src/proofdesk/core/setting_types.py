"""The kinds of value that a setting holds: what is accepted, and what is trimmed."""

import os
import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, SecretStr

from proofdesk.core import mail_relay, urls

_ORIGIN = re.compile(r"https?://[a-zA-Z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?")
_ENDPOINT = re.compile(r"https?://[^/?#\s]", re.IGNORECASE)


def _blank_is_unset(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _trim(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def default_home() -> Path:
    """Return the data folder of the user, or of the system if the user has no home."""
    try:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    except RuntimeError:  # neither HOME nor an entry in the user database
        base = Path("/var/lib")
    return base / "proofdesk"


def _absolute(path: Path) -> Path:
    try:
        return Path(str(path).strip()).expanduser().absolute()
    except RuntimeError:
        raise ValueError("the user after ~ does not exist; write the whole path") from None


def _header(value: SecretStr | None) -> SecretStr | None:
    """Return a value for a header, without surrounding spaces; other spaces cannot be sent."""
    if value is None:
        return None
    text = value.get_secret_value().strip()
    if not (text.isascii() and text.isprintable()) or " " in text or text[0] == text[-1] in "\"'":
        raise ValueError("spaces, quotes around it, line breaks or letters with accents are in it; copy it again")
    return SecretStr(text)


def _endpoint(text: str | None) -> str | None:
    if text is not None and not _ENDPOINT.match(text):
        raise ValueError("begin with http:// or https://, such as http://localhost:11434/v1")
    return text


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name.strip()).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("use the name of a time zone, such as Europe/Berlin") from None


def _password(value: SecretStr | None) -> SecretStr | None:
    """Return a password without the line break of the file from which it was read."""
    if value is None:
        return None
    text = value.get_secret_value().rstrip("\r\n")
    if any(ord(letter) < 32 for letter in text):
        raise ValueError("it holds a line break or control character, which cannot be typed")
    return SecretStr(text)


def _database(value: SecretStr | None) -> SecretStr | None:
    return value and SecretStr(urls.database(value.get_secret_value()))


def _proxies_only(text: str) -> str:
    if any(network.prefixlen == 0 for network in networks(text)):
        raise ValueError("name the proxies: a trusted address decides the client address and scheme of a request")
    return text


def _origins_only(text: str) -> str:
    for origin in origins(text):
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"{urls.masked_setting(origin)!r} is not an origin such as https://app.example.com."
                " Name each one: requests carry cookies"
            )
    return text


def origins(text: str) -> list[str]:
    """Return the origins of a comma-separated list, without trailing slashes."""
    return [origin.strip().rstrip("/") for origin in text.split(",") if origin.strip()]


def networks(text: str) -> list[IPv4Network | IPv6Network]:
    """Return the networks of a comma-separated list. Raises ValueError."""
    return [ip_network(name.strip()) for name in text.split(",") if name.strip()]


def _names_relay(url: SecretStr | None) -> SecretStr | None:
    if url is not None:
        mail_relay.parse(url.get_secret_value())
    return url


def _names_url(url: SecretStr | None) -> SecretStr | None:
    if url is None:
        return None
    text = urls.service(url.get_secret_value())
    if not _ENDPOINT.match(text):
        raise ValueError("begin with https:// or http://, such as https://hc-ping.com/…")
    return SecretStr(text)


def _names_mailbox(text: str | None) -> str | None:
    return None if text is None else mail_relay.sender(text).addr_spec


def _names_sender(text: str | None) -> str | None:
    if text is not None:
        mail_relay.sender(text)
    return text


Name = Annotated[str, BeforeValidator(_trim)]
Text = Annotated[str | None, BeforeValidator(_blank_is_unset), BeforeValidator(_trim)]
Secret = Annotated[SecretStr | None, BeforeValidator(_blank_is_unset)]
Number = Annotated[int | None, BeforeValidator(_blank_is_unset)]
Key = Annotated[Secret, AfterValidator(_header)]
Password = Annotated[Secret, AfterValidator(_password)]
WebhookSecret = Annotated[Password, BeforeValidator(_trim)]
Origin = Annotated[Text, AfterValidator(lambda text: text and urls.origin(text))]
Origins = Annotated[str, AfterValidator(_origins_only)]
Service = Annotated[Text, AfterValidator(lambda text: text and urls.service(text))]
Endpoint = Annotated[Service, AfterValidator(_endpoint)]
Home = Annotated[Path, AfterValidator(_absolute)]
Database = Annotated[Secret, AfterValidator(_database)]
Proxies = Annotated[str, AfterValidator(_proxies_only)]
Relay = Annotated[Secret, AfterValidator(_names_relay)]
SecretUrl = Annotated[Secret, AfterValidator(_names_url)]
Mailbox = Annotated[Text, AfterValidator(_names_mailbox)]
Sender = Annotated[Text, AfterValidator(_names_sender)]
BaseUrl = Annotated[str, AfterValidator(urls.service)]
Zone = Annotated[str, AfterValidator(_zone)]
