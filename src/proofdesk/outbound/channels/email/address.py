"""Addresses of people, by their form only: whether one takes mail is for the relay to say."""

from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from proofdesk.core import mail_relay  # noqa: F401  which domains count is settled there


class NotAnAddress(ValueError):
    """The text is no e-mail address; says why."""


@dataclass(frozen=True)
class Mailbox:
    """An address as people write it, and as it goes to a relay: its domain in ASCII."""

    shown: str
    sent: str
    needs_utf8: bool


def parse_address(text: str) -> Mailbox:
    """An address in its one form, in lower case. Raises `NotAnAddress`."""
    try:
        valid = validate_email(text.strip(), check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise NotAnAddress(str(error)) from None
    shown = valid.normalized.lower()
    local = shown.rpartition("@")[0]
    return Mailbox(shown, f"{local}@{valid.ascii_domain.lower()}", not local.isascii())
