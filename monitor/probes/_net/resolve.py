"""From a host to the addresses that may be tried: by the system's resolver or a named server."""

from __future__ import annotations

import socket
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import Code, Fault
from monitor.names import read_address
from monitor.options import format_duration
from monitor.probes._net.faults import Faulted, explain_lookup
from monitor.probes._net.options import IpChoice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from monitor.names import Address, Lookup, Resolver
    from monitor.probes._net.options import Nameserver

_FAMILIES: Final = {4: socket.AF_INET, 6: socket.AF_INET6}
_IPV6_ADDRESSES: Final = Path("/proc/net/if_inet6")
_SCOPE_OF_LOOPBACK: Final = "10"


class Question:
    """One question for the addresses of a host, and what can be said of it when the time is up.

    A `nameserver` is asked in place of the system's resolver; an address as text is asked of
    nobody. `ip` says which family may be used. Whoever chose the names that others are compared
    with could have a failure excused: `remember` says whether this one may be among them.
    """

    __slots__ = ("_ip", "_lookup", "_nameserver", "_remember", "_resolver", "host", "port")

    def __init__(
        self,
        host: str,
        port: int,
        resolver: Resolver,
        *,
        ip: IpChoice = IpChoice.ANY,
        nameserver: Nameserver | None = None,
        remember: bool = True,
    ) -> None:
        self.host = host
        self.port = port
        self._resolver = resolver
        self._ip = ip
        self._nameserver = nameserver
        self._remember = remember
        self._lookup: Lookup | None = None

    async def answer(self) -> Sequence[Address]:
        """Give the addresses, in the order in which they are tried; raises Faulted."""
        if self._nameserver is not None and read_address(self.host, self.port) is None:
            return await self._ask(self._nameserver)

        self._lookup = lookup = self._resolver.begin(self.host, self.port, remember=self._remember)
        try:
            addresses = await lookup.answer()
        except (OSError, UnicodeError) as error:
            # the lookup keeps the error, and what is traced from there would lead back to it
            raise Faulted(explain_lookup(error, self.host)) from error.with_traceback(None)

        return addresses if self._ip is IpChoice.ANY else self._choose(addresses)

    def explain_timeout(self, limit: timedelta) -> Fault:
        """Say what was waited for when the time was up."""
        within = format_duration(limit)
        lookup = self._lookup
        if lookup is not None and not lookup.started:
            message = f"no resolver thread was free within {within} to look up {lookup.host}"
            return Fault(code=Code.INTERNAL, message=message, own=True)
        if lookup is not None and not lookup.answered:
            message = f"{lookup.host} did not resolve within {within}"
            return Fault(code=Code.TIMEOUT, message=message, unanswered=lookup.host)
        if self._nameserver is None:
            message = f"{self.host} did not resolve within {within}"
            return Fault(code=Code.TIMEOUT, message=message)

        from monitor.probes._net.nameserver import explain_silence

        return explain_silence(self._nameserver, self.host, within)

    def explain_lack_of_ipv6(self) -> Fault | None:
        """Give the fault where it is to be IPv6 alone, and this machine has none: that is ours."""
        if self._ip is not IpChoice.ONLY_6 or not lacks_ipv6():
            return None

        message = f"this machine has no IPv6, over which alone {self.host} is to be reached"

        return Fault(code=Code.INTERNAL, message=message, own=True)

    async def _look_up(self, host: str, port: int, *, remember: bool) -> Sequence[Address]:
        """Ask the system's resolver."""
        self._lookup = lookup = self._resolver.begin(host, port, remember=remember)
        try:
            return await lookup.answer()
        except (OSError, UnicodeError) as error:
            # the lookup keeps the error, and what is traced from there would lead back to it
            raise Faulted(explain_lookup(error, host)) from error.with_traceback(None)

    async def _ask(self, nameserver: Nameserver) -> Sequence[Address]:
        """Ask the named server; where that is a name itself, the system's resolver knows it."""
        from monitor.probes._net.nameserver import ask_nameserver

        places = await self._look_up(nameserver.host, nameserver.port, remember=True)
        found = await ask_nameserver(nameserver, places[0], self.host, self._ip)
        addresses = [one for text in found for one in read_address(text, self.port) or ()]

        return self._choose(addresses)

    def _choose(self, addresses: Sequence[Address]) -> Sequence[Address]:
        """Leave what the choice of a family allows; raises Faulted where that is nothing."""
        family = self._ip.family
        wanted = [one for one in addresses if family is None or one[0] is _FAMILIES[family]]
        if wanted:
            return wanted
        if addresses and not self._ip.is_strict:
            return addresses

        raise Faulted(self._explain_lack())

    def _explain_lack(self) -> Fault:
        """Say that there is no address that would do.

        The system's resolver hides the addresses of a family that this machine does not have.
        """
        if self._nameserver is None and (lack := self.explain_lack_of_ipv6()):
            return lack

        lacking = "no address"
        if self._ip.is_strict:
            lacking = f"no IPv{self._ip.family} address, and over another it is not to be reached"
        if self._nameserver is None:
            return Fault(code=Code.DNS, message=f"{self.host} has {lacking}")

        named = str(self._nameserver)
        message = f"{self.host} has {lacking}, says the DNS server {named}"

        return Fault(code=Code.DNS, message=message, nameserver=named)


async def resolve(
    host: str,
    port: int,
    resolver: Resolver,
    *,
    ip: IpChoice = IpChoice.ANY,
    nameserver: Nameserver | None = None,
    remember: bool = True,
) -> Sequence[Address]:
    """Give the addresses of a host; raises Faulted.

    A kind that bounds it by a deadline keeps a `Question` instead, which explains that.
    """
    question = Question(host, port, resolver, ip=ip, nameserver=nameserver, remember=remember)

    return await question.answer()


def load_nameserver(nameserver: Nameserver | None) -> None:
    """Load what is needed to ask a DNS server, before anything is timed: that takes a while."""
    if nameserver is not None:
        import_module("monitor.probes._net.nameserver")


def lacks_ipv6(addresses: Path = _IPV6_ADDRESSES) -> bool:
    """Say whether this machine has no address of IPv6 but that of itself."""
    try:
        lines = addresses.read_text().splitlines()
    except OSError:
        return True  # as it is where the system has no IPv6 at all

    return all(line.split()[3:4] == [_SCOPE_OF_LOOPBACK] for line in lines)
