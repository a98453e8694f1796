"""A healthy installation, and a proxy in front of its Chatwoot."""

from tests.support.installed import drop_header, installation, servers

__all__ = ["drop_header", "installation", "servers"]
