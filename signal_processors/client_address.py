"""Whose request it is: the peer, or whom a proxy that we trust names; and how often it may try.

Pure but for what the limiter counts; its table is bounded.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

TRIES_A_MINUTE: Final = 60
WINDOW_MS: Final = 60_000
MOST_ADDRESSES: Final = 10_000
ONE_SITE: Final = 64
"""Bits of an IPv6 address that one site has to itself."""


def read_address(text: str) -> Address | None:
    """Read an IP address; an IPv4 one within IPv6 is IPv4. None = it is none."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def client_address(
    peer: str, forwarded_for: Iterable[str], trusted: Sequence[Network]
) -> Address | None:
    """Tell the client: the last address in X-Forwarded-For that is not a trusted proxy.

    The header is believed only as far as trusted proxies wrote it.
    """
    address = read_address(peer)
    hops = [hop for line in forwarded_for for hop in line.split(",")]
    while address is not None and hops and is_within(address, trusted):
        named = read_address(hops.pop())
        if named is None:
            return address
        address = named
    return address


def is_within(address: Address, networks: Iterable[Network]) -> bool:
    """Tell whether an address lies in one of the networks."""
    return any(address in network for network in networks)


class AttemptLimiter:
    """Counts tries by address; the one that tried longest ago is forgotten first."""

    def __init__(self) -> None:
        self._tries: OrderedDict[str, tuple[int, int]] = OrderedDict()  # since, how many

    def may_try(self, address: Address | None, now_ms: int) -> bool:
        """Tell whether an address has tries left in this minute; counts nothing."""
        since_ms, count = self._tries.get(_site(address), (now_ms, 0))
        return count < TRIES_A_MINUTE or now_ms - since_ms >= WINDOW_MS

    def count(self, address: Address | None, now_ms: int) -> int:
        """Count one try and give how many there were in this minute; `now_ms` is monotonic."""
        site = _site(address)
        since_ms, count = self._tries.pop(site, (now_ms, 0))
        if now_ms - since_ms >= WINDOW_MS:
            since_ms, count = now_ms, 0
        self._tries[site] = (since_ms, count + 1)
        if len(self._tries) > MOST_ADDRESSES:
            self._tries.popitem(last=False)
        return count + 1


def _site(address: Address | None) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((address, ONE_SITE), strict=False))
    return str(address)
