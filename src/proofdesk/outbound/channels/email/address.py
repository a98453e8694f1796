"""E-mail addresses, checked by their form only. The relay decides whether an address accepts mail."""

from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from proofdesk.core import mail_relay  # noqa: F401  sets which domains are allowed


class NotAnAddress(ValueError):
    """The text is not an e-mail address. The message says why."""


@dataclass(frozen=True)
class Mailbox:
    """An address as people write it, and as it is sent to a relay, with its domain in ASCII."""

    shown: str
    sent: str
    needs_utf8: bool


def parse_address(text: str) -> Mailbox:
    """Return an address in its normal form, in lower case. Raises `NotAnAddress`."""
    try:
        valid = validate_email(text.strip(), check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise NotAnAddress(str(error)) from None
    shown = valid.normalized.lower()
    local = shown.rpartition("@")[0]
    return Mailbox(shown, f"{local}@{valid.ascii_domain.lower()}", not local.isascii())
