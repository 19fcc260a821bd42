"""Wrong tokens: how many come from one address, and when it is told to wait."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable

_log = Log()

MOST: Final = 10
"""So many wrong tokens in a row from one address are answered as such."""

ONE_MORE: Final = timedelta(seconds=6)
"""After this time there may be one more."""

MOST_ADDRESSES: Final = 1_000
"""So many addresses are remembered; one that was quiet for longest makes room."""

_NETWORK_OF_ONE: Final = 64
"""Whoever has an IPv6 address has all that begin with these bits."""


@dataclass(slots=True)
class _Address:
    """What an address owes: `level` wrong tokens at a monotonic time, and whether it was logged."""

    level: float = 0.0
    at: float = 0.0
    told: bool = False


class FailureLimit:
    """Counts wrong tokens by address, and forgets them at a steady pace.

    Who has the right token is never asked here: behind a proxy all share one address, and none of
    them shall be able to lock the others out. `clock` is monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._addresses: OrderedDict[str, _Address] = OrderedDict()

    def __len__(self) -> int:
        return len(self._addresses)

    def refuse(self, remote: str | None) -> timedelta | None:
        """Take a wrong token from an address; give how long it should wait if that was too many.

        A burst is one line in the log, however long it lasts.
        """
        address = _name(remote)
        known = self._addresses.pop(address, None) or _Address(at=self._clock())
        self._addresses[address] = known
        if len(self._addresses) > MOST_ADDRESSES:
            self._addresses.popitem(last=False)

        now, pace = self._clock(), ONE_MORE.total_seconds()
        known.level = max(0.0, known.level - (now - known.at) / pace)
        known.at = now
        if known.level < 1:
            known.told = False
        if known.level + 1 <= MOST:
            known.level += 1
            return None

        if not known.told:
            known.told = True
            _log.warning("wrong_tokens", client=address, in_a_row=MOST)

        return timedelta(seconds=math.ceil((known.level + 1 - MOST) * pace))


def _name(remote: str | None) -> str:
    """Give the address that is counted: that of a host, or the network that an IPv6 host has."""
    try:
        address = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return "unknown"

    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)

    return str(ipaddress.ip_network((address, _NETWORK_OF_ONE), strict=False))
