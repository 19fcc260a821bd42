"""Echo requests on one socket, and what comes of each: a reply, a trouble, or nothing."""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
from time import perf_counter
from typing import TYPE_CHECKING, Final

from monitor.probes._icmp.packets import (
    Family,
    Request,
    answered,
    fill,
    quoted,
    read_trouble,
    strip_header,
)
from monitor.probes._icmp.sockets import ERRORS, RECEIVED_HOP_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.probes._icmp.packets import Trouble

    Beside = Iterable[tuple[int, int, bytes]]

_TOKEN: Final = 16
_LARGEST: Final = 65_535
_LARGEST_BESIDE: Final = 512
_AT_ONCE: Final = 64
_NUMBERS: Final = 0x1_0000


class Volley:
    """A number of requests to the address that a socket is bound to; nobody else is heard.

    `times` are the round trips in seconds by sequence number, `troubles` what was said instead.
    """

    def __init__(self, sock: socket.socket, address: str) -> None:
        self.times: dict[int, float] = {}
        self.troubles: dict[int, Trouble] = {}
        self.hop_limit: int | None = None
        self._sock = sock
        self._raw = sock.type == socket.SOCK_RAW
        self._family = Family.IPV6 if sock.family == socket.AF_INET6 else Family.IPV4
        self._address = address
        self._ident = secrets.randbelow(_NUMBERS)
        self._next = secrets.randbelow(_NUMBERS)
        self._sent: dict[int, tuple[Request, float]] = {}

    @property
    def sent(self) -> int:
        """The number of requests so far."""
        return len(self._sent)

    @property
    def is_settled(self) -> bool:
        """Whether something is known of each request."""
        return len(self.times) + len(self.troubles) >= len(self._sent)

    def send(self, size: int) -> None:
        """Send one more request of so many bytes; raises OSError."""
        request = Request(
            family=self._family,
            ident=self._ident,
            sequence=self._next,
            payload=fill(secrets.token_bytes(_TOKEN), size),
        )
        self._next = (self._next + 1) % _NUMBERS
        self._sent[request.sequence] = (request, perf_counter())
        try:
            self._sock.send(request.write())
        except OSError:
            self._read_troubles()  # it may be the one of an earlier request, which ends here
            if request.sequence not in self.troubles:
                raise

    async def listen(self, until: float | None) -> None:
        """Wait for what comes next, or until then on the loop's clock, and take it.

        Not so much of it that nobody else has a turn.
        """
        wait = None if until is None else until - asyncio.get_running_loop().time()
        await _wait_readable(self._sock, wait)
        for _ in range(_AT_ONCE):
            try:
                packet, beside, _, source = self._sock.recvmsg(_LARGEST, _LARGEST_BESIDE)
            except BlockingIOError:
                break
            except OSError:
                self._read_troubles()  # one of them was this
                continue
            if source[0] == self._address:
                self._take(packet, beside)
        self._read_troubles()

    def _take(self, packet: bytes, beside: Beside) -> None:
        now = perf_counter()
        if self._raw and self._family is Family.IPV4:
            packet = strip_header(packet)
        reply = answered(packet, self._family, self._ident if self._raw else None)
        if reply is None:
            return
        sequence, payload = reply
        request, sent_at = self._sent.get(sequence, (None, 0.0))
        if request is None or payload != request.payload or sequence in self.times:
            return  # from an earlier look, a forgery, or a second time

        self.times[sequence] = now - sent_at
        self.troubles.pop(sequence, None)
        for level, kind, data in beside:
            if (level, kind) in RECEIVED_HOP_LIMIT:
                self.hop_limit = int.from_bytes(data[:4], sys.byteorder)

    def _read_troubles(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                packet, beside, _, _ = self._sock.recvmsg(
                    _LARGEST, _LARGEST_BESIDE, socket.MSG_ERRQUEUE
                )
            except OSError:
                return
            for level, kind, data in beside:
                if (level, kind) in ERRORS:
                    self._note(packet, read_trouble(data, self._family))

    def _note(self, packet: bytes, trouble: Trouble | None) -> None:
        if trouble is None:
            return
        sent_back = quoted(packet, self._family, self._ident if self._raw else None)
        if trouble.here and self._sent:
            sent_back = next(reversed(self._sent)), b""  # this system told the last one alone
        if sent_back is None:
            return
        sequence, payload = sent_back
        request, _ = self._sent.get(sequence, (None, 0.0))
        if request is not None and request.payload.startswith(payload[: len(request.payload)]):
            self.troubles.setdefault(sequence, trouble)


async def _wait_readable(sock: socket.socket, seconds: float | None) -> None:
    """Wait until there is something, an error as well, or until the time is up."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    descriptor = sock.fileno()
    loop.add_reader(descriptor, _wake, ready)
    timer = None if seconds is None else loop.call_later(seconds, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
        if timer is not None:
            timer.cancel()


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
