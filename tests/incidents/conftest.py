"""A healthy installation that notifies people."""

from tests.incidents.watched_desk import desk, receiver, receiver_server
from tests.support.installed import installation, servers

__all__ = ["desk", "installation", "receiver", "receiver_server", "servers"]
