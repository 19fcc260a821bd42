"""Asks a DNS server that an endpoint names for the addresses of a host: UDP, TCP where needed."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from monitor.core.model.observation import Code, Fault
from monitor.probes._net.faults import Faulted, explain_own
from monitor.probes._net.options import IpChoice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.names import Address
    from monitor.probes._net.options import Nameserver

_FIRST_PAUSE: Final = 1.0
"""After so many seconds a question is put again, then after twice as many: a packet may be lost."""

_GRACE: Final = 0.25
_GRACE_OF_THE_PREFERRED: Final = 2.0
"""Once there are addresses of one family, those of the other are waited for so many seconds."""

_MOST_ALIASES: Final = 8
_MOST_PARTS: Final = 300
"""To read some thousands of records takes seconds, in which nothing else is done."""

_A: Final = dns.rdatatype.A
_AAAA: Final = dns.rdatatype.AAAA


async def ask_nameserver(
    server: Nameserver, place: Address, host: str, ip: IpChoice
) -> Sequence[str]:
    """Ask the server, which is at this address, for those of a host; empty where it has none.

    Of the families that the choice does not rule out. Raises Faulted.
    """
    try:
        name = dns.name.from_text(host)
    except (dns.exception.DNSException, UnicodeError) as error:
        fault = Fault(code=Code.DNS, message=f"{host} is not a valid host name")
        raise Faulted(fault) from error

    asking = {
        kind: asyncio.ensure_future(_Inquiry(server, place, host).find(name, kind))
        for kind in _kinds(ip)
    }
    try:
        await _wait(asking, ip)
    finally:
        for task in asking.values():
            task.cancel()
        await asyncio.gather(*asking.values(), return_exceptions=True)

    heard = [task for task in asking.values() if not task.cancelled()]
    found = [text for task in heard if task.exception() is None for text in task.result()]
    if not found:
        for task in heard:
            task.result()  # raises what went wrong

    return found


def explain_silence(server: Nameserver, host: str, within: str) -> Fault:
    """Say that the server gave no answer in time; it is a part of the way that is asked."""
    message = f"the DNS server {server} gave no address of {host} within {within}"

    return Fault(code=Code.TIMEOUT, message=message, nameserver=str(server))


def _kinds(ip: IpChoice) -> tuple[dns.rdatatype.RdataType, ...]:
    match ip:
        case IpChoice.ONLY_4:
            return (_A,)
        case IpChoice.ONLY_6:
            return (_AAAA,)
        case _:
            return (_AAAA, _A)


async def _wait(
    asking: Mapping[dns.rdatatype.RdataType, asyncio.Future[Sequence[str]]], ip: IpChoice
) -> None:
    """Wait for all that was asked, but not for long once there are addresses to go on with."""
    _, waited_for = await asyncio.wait(asking.values(), return_when=asyncio.FIRST_COMPLETED)
    got = [
        kind
        for kind, task in asking.items()
        if task not in waited_for and task.exception() is None and task.result()
    ]
    if not waited_for:
        return
    if not got:
        await asyncio.wait(waited_for)
        return

    family = 4 if got == [_A] else 6
    if ip.family is None:
        await asyncio.wait(waited_for, timeout=_GRACE)
    elif ip.family != family:
        await asyncio.wait(waited_for, timeout=_GRACE_OF_THE_PREFERRED)


class _Inquiry:
    """What is asked of one server about one host."""

    def __init__(self, server: Nameserver, place: Address, host: str) -> None:
        self._server = server
        self._place = str(place[4][0]), int(place[4][1])
        self._host = host

    async def find(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> Sequence[str]:
        """Give the addresses of one family, wherever aliases lead."""
        for _ in range(_MOST_ALIASES):
            answer = await self._ask(name, kind)
            if (rcode := answer.rcode()) != dns.rcode.NOERROR:
                raise self._fault(_explain_rcode(rcode))

            try:
                chain = answer.resolve_chaining()
            except dns.exception.DNSException as error:
                raise self._fault("its answer makes no sense") from error
            if chain.answer is not None:
                return [record.address for record in chain.answer]
            if chain.canonical_name == name:
                return []
            name = chain.canonical_name

        raise self._fault(f"it leads through more than {_MOST_ALIASES} aliases")

    async def _ask(
        self, name: dns.name.Name, kind: dns.rdatatype.RdataType
    ) -> dns.message.QueryMessage:
        query = dns.message.make_query(name, kind)
        try:
            wire = await self._over_udp(query)
            if _is_truncated(wire):
                wire = await self._over_tcp(query)
            if _count_parts(wire) > _MOST_PARTS:
                raise self._fault(f"its answer has more than {_MOST_PARTS} records")
            answer = dns.message.from_wire(wire, ignore_trailing=True)
        # uvloop raises RuntimeError where a descriptor is no longer usable
        except (OSError, RuntimeError) as error:
            raise self._unreachable(error) from error
        except (dns.exception.DNSException, EOFError, ValueError) as error:
            raise self._fault("its answer is not valid DNS") from error

        if not isinstance(answer, dns.message.QueryMessage) or not query.is_response(answer):
            raise self._fault("its answer is to something else")

        return answer

    async def _over_udp(self, query: dns.message.QueryMessage) -> bytes:
        """Put the question until there is an answer; whoever asked bounds the time."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Listener(query, answer), remote_addr=self._place
        )
        try:
            for attempt in itertools.count():
                transport.sendto(query.to_wire())
                done, _ = await asyncio.wait({answer}, timeout=_FIRST_PAUSE * 2**attempt)
                if done:
                    break
        finally:
            transport.abort()

        return answer.result()

    async def _over_tcp(self, query: dns.message.QueryMessage) -> bytes:
        """Put the question again where the answer did not fit into a packet."""
        reader, writer = await asyncio.open_connection(*self._place)
        try:
            wire = query.to_wire()
            writer.write(len(wire).to_bytes(2, "big") + wire)
            await writer.drain()
            length = int.from_bytes(await reader.readexactly(2), "big")
            return await reader.readexactly(length)
        finally:
            writer.transport.abort()

    def _unreachable(self, error: OSError | RuntimeError) -> Faulted:
        if isinstance(error, OSError) and (own := explain_own(error)):
            return Faulted(own)
        if isinstance(error, ConnectionRefusedError):
            return self._fault("it refuses to be asked")
        why = getattr(error, "strerror", None) or str(error)

        return self._fault(f"it cannot be asked: {why.lower()}")

    def _fault(self, why: str) -> Faulted:
        message = f"{self._host} did not resolve at the DNS server {self._server}: {why}"

        return Faulted(Fault(code=Code.DNS, message=message, nameserver=str(self._server)))


class _Listener(asyncio.DatagramProtocol):
    """Hears the answer to one question; what does not carry its number was meant for another."""

    def __init__(self, query: dns.message.QueryMessage, answer: asyncio.Future[bytes]) -> None:
        self._number = query.id.to_bytes(2, "big")
        self._answer = answer

    def datagram_received(self, data: bytes, _addr: object) -> None:
        """Take an answer."""
        if not self._answer.done() and data[:2] == self._number and len(data) > 2:
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """Take note that the system could not deliver the question."""
        if not self._answer.done():
            self._answer.set_exception(exc)


def _explain_rcode(rcode: dns.rcode.Rcode) -> str:
    said = dns.rcode.to_text(rcode)
    if rcode == dns.rcode.NXDOMAIN:
        return f"there is no such name ({said})"

    return f"it answers {said}"


def _count_parts(wire: bytes) -> int:
    """Give how many questions and records there are to be, as the header says."""
    return sum(int.from_bytes(wire[at : at + 2], "big") for at in range(4, 12, 2))


def _is_truncated(wire: bytes) -> bool:
    return bool(wire[2] & (dns.flags.TC >> 8))
