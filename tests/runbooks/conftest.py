"""A healthy installation, and a proxy in front of its Chatwoot."""

from typing import Any

import pytest

from tests.runbooks.installation import Installation, add_message
from tests.support.installed import drop_header, installation, servers

__all__ = ["drop_header", "installation", "servers"]


@pytest.fixture
def mailing(installation: Installation, mail_server: tuple[Any, str]) -> Installation:
    """Return an installation with a mail relay and one approved message that is due."""
    add_message(installation, mail_server[1])
    return installation
