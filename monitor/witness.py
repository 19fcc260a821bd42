"""Asks the witnesses whether the monitor still has a network."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohappyeyeballs
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiohappyeyeballs import AddrInfoType

    from monitor.core.model.witness import Witness

    Ask = Callable[[str, int], Sequence[AddrInfoType]]

PATIENCE: Final = timedelta(seconds=2)
"""How long the witnesses have to answer, all at once."""

SHARED: Final = timedelta(seconds=5)
"""How long one round of answers is believed: a storm of failures asks once."""

FRESH: Final = timedelta(seconds=1)
"""How long an answer is believed that came before the failure in doubt began.

The network may have gone since: three failures in a row must not all rest on one old answer.
"""

_log = structlog.get_logger()
_STAGGER: Final = 0.25
_LONGEST_LINE: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stand:
    """Where a witness stands; `request` is what is sent to one that speaks HTTP."""

    host: str
    port: int
    tls: bool = False
    request: bytes = b""

    @property
    def named(self) -> bool:
        """Whether the resolver is needed to reach it."""
        try:
            ipaddress.ip_address(self.host.partition("%")[0])
        except ValueError:
            return True

        return False


class _Testimony:
    """What a round of asking has shown so far."""

    __slots__ = ("network", "resolver")

    def __init__(self, *, resolver: bool) -> None:
        self.network = False
        self.resolver = resolver

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be shown."""
        return self.network and self.resolver


class Witnesses:
    """Things that are up unless the monitor itself is cut off; one answer suffices.

    `ask` looks a name up; it is called on a thread of its own, so that a resolver that hangs
    delays nothing else.
    """

    def __init__(self, specs: Sequence[Witness], *, ask: Ask | None = None) -> None:
        self._stands = tuple(_find(witness) for witness in specs)
        self._names = _Names(ask or _ask_system)
        self._round: asyncio.Task[_Testimony] | None = None
        self._answered_at = 0.0
        self._answered = True

    async def confirm_network(self, *, by_name: bool = False, since: float | None = None) -> bool:
        """Say whether any witness answers; without witnesses there is no doubt.

        `since` is when that began which failed, in the time of the event loop; by default now.
        With `by_name` the resolver must have worked as well, for any witness that has a name: the
        question to ask where a target's own name did not resolve.
        """
        if not self._stands:
            return True

        now = asyncio.get_running_loop().time()
        believed = SHARED if since is not None and since <= self._answered_at else FRESH
        too_old = now >= self._answered_at + believed.total_seconds()
        if self._round is None or (self._round.done() and too_old):
            self._round = asyncio.create_task(self._ask_all(), name="witnesses")
        asked = self._round
        await asyncio.wait({asked})  # whoever stops waiting does not end the round for the others
        if asked.cancelled():
            return False  # closed in the meantime: nothing was confirmed

        testimony = asked.result()

        return testimony.complete if by_name else testimony.network

    async def close(self) -> None:
        """End what is being asked."""
        if self._round is not None:
            self._round.cancel()
            await asyncio.gather(self._round, return_exceptions=True)
            self._round = None

    async def _ask_all(self) -> _Testimony:
        testimony = _Testimony(resolver=not any(stand.named for stand in self._stands))
        asking = {asyncio.create_task(self._ask(stand, testimony)) for stand in self._stands}
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE.total_seconds()):
                    while asking and not testimony.complete:
                        _, asking = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

        self._log_turn(answered=testimony.network)
        self._answered_at = asyncio.get_running_loop().time()

        return testimony

    def _log_turn(self, *, answered: bool) -> None:
        if self._answered and not answered:
            _log.warning("no_witness_answers", asked=len(self._stands))
        if answered and not self._answered:
            _log.info("witnesses_answer_again")
        self._answered = answered

    async def _ask(self, stand: _Stand, testimony: _Testimony) -> None:
        try:
            addresses = await self._names.look_up(stand.host, stand.port)
            testimony.resolver = testimony.resolver or stand.named
            sock = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=_STAGGER)
            if not stand.request:
                sock.close()
                testimony.network = True
            elif await _answers_http(stand, sock):
                testimony.network = True
        # uvloop raises RuntimeError where a descriptor is no longer usable
        except (OSError, UnicodeError, RuntimeError, MemoryError) as error:
            _log.debug("witness_silent", host=stand.host, port=stand.port, error=str(error))


async def _answers_http(stand: _Stand, sock: socket.socket) -> bool:
    """Send a request on a connection; any HTTP answer counts, whatever its status."""
    reader, writer = await asyncio.open_connection(
        sock=sock,
        limit=_LONGEST_LINE,
        ssl=_trust() if stand.tls else None,
        server_hostname=stand.host if stand.tls else None,
    )
    try:
        writer.write(stand.request)
        await writer.drain()
        beginning = await reader.read(_LONGEST_LINE)
    finally:
        writer.transport.abort()

    return beginning.startswith(b"HTTP/")


@cache
def _trust() -> ssl.SSLContext:
    """Give the context that verifies: whoever answers in a witness's place proves nothing."""
    return ssl.create_default_context()


class _Names:
    """Looks names up on daemon threads, at most one at a time for each name."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._running: dict[tuple[str, int], asyncio.Future[Sequence[AddrInfoType]]] = {}

    async def look_up(self, host: str, port: int) -> Sequence[AddrInfoType]:
        """Give the addresses; raises OSError or UnicodeError."""
        key = host, port
        if key not in self._running:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[Sequence[AddrInfoType]] = loop.create_future()
            threading.Thread(
                target=self._work, args=(loop, future, key), name="witness", daemon=True
            ).start()
            self._running[key] = future

        return await asyncio.shield(self._running[key])

    def _work(
        self,
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[Sequence[AddrInfoType]],
        key: tuple[str, int],
    ) -> None:
        found: Sequence[AddrInfoType] | Exception
        try:
            found = self._ask(*key)
        except (OSError, UnicodeError, MemoryError) as error:
            found = error

        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(self._settle, future, key, found)

    def _settle(
        self,
        future: asyncio.Future[Sequence[AddrInfoType]],
        key: tuple[str, int],
        found: Sequence[AddrInfoType] | Exception,
    ) -> None:
        del self._running[key]
        if isinstance(found, Exception):
            future.set_exception(found)
            future.exception()  # the one who asked may have stopped waiting
        else:
            future.set_result(found)


def _ask_system(host: str, port: int) -> Sequence[AddrInfoType]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _find(witness: Witness) -> _Stand:
    """Read where a witness stands; the configuration has checked that it can be read."""
    if witness.url is None:
        assert witness.tcp is not None
        place = urlsplit(f"//{witness.tcp}")
        return _Stand(host=place.hostname or "", port=place.port or 0)

    place = urlsplit(witness.url)
    tls = place.scheme == "https"
    path = (place.path or "/") + (f"?{place.query}" if place.query else "")
    authority = place.netloc.rpartition("@")[2]
    request = (
        f"HEAD {path} HTTP/1.1\r\nHost: {authority}\r\n"
        "User-Agent: production-monitor\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )

    return _Stand(
        host=place.hostname or "",
        port=place.port or (443 if tls else 80),
        tls=tls,
        request=request.encode("ascii", errors="replace"),
    )
