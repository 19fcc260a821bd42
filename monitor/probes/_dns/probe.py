"""Puts one question to one DNS server, over UDP, TCP or TLS, once."""

from __future__ import annotations

import asyncio
import secrets
import socket
from typing import TYPE_CHECKING, Final

import dns.flags
import dns.message

from monitor.core.model.observation import Code, Fault, Phase
from monitor.probes._dns.message import (
    SECTIONS,
    Nonsense,
    answers,
    prepare,
    read_head,
    read_records,
)
from monitor.probes._dns.options import DnsOptions, Transport
from monitor.probes._net.asking import NetworkProbe
from monitor.probes._net.datagram import reach
from monitor.probes._net.dial import dial, talking
from monitor.probes._net.faults import Faulted, explain_connect

if TYPE_CHECKING:
    from monitor.probes._net.look import Look
    from monitor.probes.probe import ProbeContext

_LARGEST: Final = 65_535
_MOST_IGNORED: Final = 1000
_AT_ONCE: Final = 50
"""So many records are read before others have their turn."""

_PHASES: Final = {
    Phase.RESOLVE: "resolve",
    Phase.CONNECT: "connect",
    Phase.TLS: "connect",
    Phase.PROCESSING: "request",
    Phase.TRANSFER: "request",
}
"""As blackbox_exporter names them: there, TLS belongs to the connection."""


class DnsProbe(NetworkProbe[DnsOptions]):
    """Asks with one packet, or over a connection of its own; nothing is asked twice."""

    durations = "probe_dns_duration_seconds"
    phase_names = _PHASES

    def __init__(self, options: DnsOptions, context: ProbeContext) -> None:
        super().__init__(options, context)
        prepare(options.type, options.class_)

    async def _ask(self, look: Look) -> None:
        look.host, look.peer = self._way.host, self._way.peer
        query = dns.message.make_query(
            self._options.name,
            self._options.type,
            self._options.class_,
            flags=dns.flags.RD if self._options.recursion else 0,
            id=secrets.randbits(16),
        )
        ask = self._over_udp if self._options.transport is Transport.UDP else self._over_stream
        try:
            wire = await ask(look, query)
            await _read(look, wire)
        except Nonsense as error:
            message = f"the answer of {self._way.peer} {error}"
            raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message)) from error

    def _conclude(self, look: Look) -> None:
        super()._conclude(look)
        look.measure("probe_dns_query_succeeded", "rcode" in look.values)

    async def _over_udp(self, look: Look, query: dns.message.QueryMessage) -> bytes:
        sock = await reach(
            look,
            self._context.resolver,
            self._way,
            lambda family: socket.socket(family, socket.SOCK_DGRAM),
        )
        look.watch.enter(Phase.PROCESSING)
        try:
            return await _exchange(look, sock, query, self._way.peer)
        except ConnectionRefusedError as error:
            message = f"{self._way.peer} refused the question: nothing listens there for UDP"
            raise Faulted(Fault(code=Code.CONNECTION_REFUSED, message=message)) from error
        except OSError as error:
            raise Faulted(explain_connect(error, self._way.peer)) from error
        finally:
            sock.close()

    async def _over_stream(self, look: Look, query: dns.message.QueryMessage) -> bytes:
        connection = await dial(look, self._context.resolver, self._way)
        look.watch.enter(Phase.PROCESSING)
        wire = query.to_wire()
        try:
            with talking(look):
                connection.writer.write(len(wire).to_bytes(2, "big") + wire)
                length = int.from_bytes(await connection.reader.readexactly(2), "big")
                look.watch.enter(Phase.TRANSFER)
                answer = await connection.reader.readexactly(length)
        finally:
            connection.close()

        if not answers(query, answer):
            raise Nonsense("is to something else")

        return answer


async def _exchange(
    look: Look, sock: socket.socket, query: dns.message.QueryMessage, peer: str
) -> bytes:
    """Send the question, and wait for its answer: whatever else comes was meant for another.

    The socket hears the server alone. It may be anybody who writes its address on a packet, so
    that such a packet neither answers nor ends anything.
    """
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, query.to_wire())
    for ignored in range(1, _MOST_IGNORED + 1):
        wire = await loop.sock_recv(sock, _LARGEST)
        if answers(query, wire):
            return wire
        packets = "a packet that answers" if ignored == 1 else f"{ignored} packets that answer"
        look.peer = f"{peer}, from which came {packets} something else,"
        await asyncio.sleep(0)  # others have their turn, and the time may be up

    message = f"{peer} sends packets without end, and none answers what was asked"
    raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message))


async def _read(look: Look, wire: bytes) -> None:
    """Note what an answer says."""
    head = read_head(wire)
    look.body_truncated = head.truncated
    look.values |= {"rcode": head.rcode, "dns_flags": list(head.flags)}
    for flag in ("aa", "tc", "ra", "ad"):
        look.measure("probe_dns_flag", flag in head.flags, flag=flag)

    lines: dict[str, list[str]] = {name: [] for name in SECTIONS}
    said: list[str] = []
    serial: int | None = None
    for number, record in enumerate(read_records(wire), 1):
        lines[record.section].append(record.text)
        if record.section == "answer":
            said.append(record.says)
            serial = record.serial if serial is None else serial
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)

    look.values |= {"dns_answer": said, "dns_records": lines}
    for name in SECTIONS:
        look.measure(f"probe_dns_{name}_rrs", len(lines[name]))
    if serial is not None:
        look.values["value"] = serial
        look.measure("probe_dns_serial", serial)
