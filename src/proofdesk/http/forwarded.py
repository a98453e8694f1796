"""The address and scheme of a client behind trusted proxies."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def client_address(peer: Address, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> Address:
    """Return the first address, read from the right, that is not a trusted proxy.

    Each proxy appends the address that it received the request from, so only the client itself can have written what
    stands left of the first untrusted address.
    """
    nearest = peer
    for text in reversed(",".join(forwarded_for).split(",")):
        if not is_trusted(nearest, trusted) or (previous := parse_address(text)) is None:
            break
        nearest = previous
    return nearest


def scheme(forwarded_proto: Sequence[str]) -> str | None:
    """Return `http` or `https` as the nearest proxy reports it: the last value is its own."""
    value = ",".join(forwarded_proto).rpartition(",")[2].strip().lower()
    return value if value in ("http", "https") else None


def is_trusted(address: Address, networks: Sequence[Network]) -> bool:
    """Return whether an address is in one of the networks."""
    return any(address in network for network in networks)


@lru_cache(1024)
def parse_address(text: str) -> Address | None:
    """Return the address in `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`, None for other text."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
