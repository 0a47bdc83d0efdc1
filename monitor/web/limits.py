"""How much one client may ask: requests a second, and attempts at a token."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

from monitor import clock

_MOST: Final = 10_000
"""Clients that are remembered; the one that asked longest ago is forgotten when there are more."""
_BURST: Final = 5.0
"""Seconds' worth of requests that may come at once."""
_FREE: Final = 5
"""Wrong tokens that cost nothing."""
_LONGEST: Final = 900.0
"""Seconds that an address waits at the most."""
_FORGET: Final = 3_600.0
"""Seconds without a wrong token after which an address starts afresh."""


class Requests:
    """A bucket for each client: it holds some seconds' worth of requests and is refilled steadily."""

    def __init__(self, per_second: float, now: Callable[[], float] = clock.monotonic) -> None:
        self._rate, self._size, self._now = per_second, max(per_second * _BURST, 1.0), now
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def wait(self, name: str, address: str) -> float:
        """Take one request out; 0 if there was one, otherwise the seconds until there is."""
        key, now = (name, network_of(address)), self._now()
        left, since = self._buckets.pop(key, (self._size, now))
        left = min(self._size, left + (now - since) * self._rate)
        allowed = left >= 1.0
        self._buckets[key] = (left - 1.0 if allowed else left, now)
        if len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - left) / self._rate


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last: float = 0.0
    until: float = 0.0


class Attempts:
    """Wrong tokens by address: after some, each doubles the time in which no more are looked at.

    A token that was good from an address before goes on being good there, so that one program with an old token does
    not lock out the others behind the same address.
    """

    def __init__(self, now: Callable[[], float] = clock.monotonic) -> None:
        self._now = now
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._good: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait(self, address: str, name: str | None) -> float:
        """Seconds for which that address is not listened to; 0 also where the token `name` was good from there."""
        network = network_of(address)
        failures = self._failures.get(network)
        if failures is None or (name is not None and (name, network) in self._good):
            return 0.0
        return max(failures.until - self._now(), 0.0)

    def failed(self, address: str) -> None:
        """A wrong token came from there."""
        network, now = network_of(address), self._now()
        failures = self._failures.pop(network, None)
        if failures is None or now - failures.last > _FORGET:
            failures = _Failures()
        failures.count, failures.last = failures.count + 1, now
        if failures.count >= _FREE:
            failures.until = now + min(2.0 ** min(failures.count - _FREE, 20), _LONGEST)
        self._failures[network] = failures
        if len(self._failures) > _MOST:
            self._failures.popitem(last=False)

    def succeeded(self, address: str, name: str) -> None:
        """The token `name` came from there."""
        key = (name, network_of(address))
        self._good[key] = None
        self._good.move_to_end(key)
        if len(self._good) > _MOST:
            self._good.popitem(last=False)


def network_of(address: str) -> str:
    """What one client can be expected to have: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or IPv6Address(int(found) >> 64 << 64))
    return address
