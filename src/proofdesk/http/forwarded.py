"""Who a request comes from, when proxies that we trust passed it on."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def client_address(peer: Address, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> Address:
    """The first address that is not a trusted proxy's, read from the right.

    Each proxy adds on the right whom it heard from, so what stands left of the first stranger is his own word.
    """
    nearest = peer
    for hop in reversed(",".join(forwarded_for).split(",")):
        if not is_trusted(nearest, trusted) or (said := parse_address(hop)) is None:
            break
        nearest = said
    return nearest


def scheme(forwarded_proto: Sequence[str]) -> str | None:
    """`http` or `https` as the proxy next to us says; of several words its own is the last."""
    said = ",".join(forwarded_proto).rpartition(",")[2].strip().lower()
    return said if said in ("http", "https") else None


def is_trusted(found: Address, trusted: Sequence[Network]) -> bool:
    """Whether an address is in one of the networks."""
    return any(found in network for network in trusted)


@lru_cache(1024)
def parse_address(text: str) -> Address | None:
    """The address in `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`; None when there is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
