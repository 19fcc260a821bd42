"""Asks the witnesses, and for other names, where a target gave no answer."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from math import inf
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from urllib.parse import urlsplit

from monitor.core.witnesses import Heard, attribute, doubts_names
from monitor.logs import Log
from monitor.names import (
    Resolver,
    connect_any,
    is_answer,
    read_address,
    require_descriptor,
    without_own_names,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from monitor.core.model.observation import Fault
    from monitor.core.model.witness import Witness
    from monitor.names import Ask

T = TypeVar("T")

PATIENCE: Final = timedelta(seconds=2)
"""How long the witnesses have to answer, all at once."""

SHARED: Final = timedelta(seconds=5)
"""How long one round of answers is believed: a storm of failures asks once."""

FRESH: Final = timedelta(seconds=1)
"""How long an answer is believed that came before the failure in doubt began.

The network may have gone since: three failures in a row must not all rest on one old answer.
"""

_log = Log()
_THREADS: Final = 16
_OTHER_NAMES: Final = 8
_CANDIDATES: Final = 64
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
        return read_address(self.host, self.port) is None


class Witnesses:
    """Things that are up unless the monitor itself is cut off; one answer suffices.

    They say whose fault it is that a target gave no answer. Where its name did not resolve, other
    names are asked for as well: those of the witnesses, and those that `known` gives, names that
    were asked for lately.
    """

    def __init__(
        self,
        specs: Sequence[Witness],
        *,
        ask: Ask | None = None,
        known: Callable[[int], Sequence[str]] = lambda _most: (),
    ) -> None:
        self._stands = tuple(_find(witness) for witness in specs)
        self._named = frozenset(stand.host for stand in self._stands if stand.named)
        self._known = known
        # not that of the probes: all of its threads may wait for names that hang
        self._resolver = Resolver(threads=_THREADS, per_name=1, ask=ask)
        self._network = _Round(self._ask_stands, "witnesses")
        self._names = _Round(self._ask_names, "names")
        self._answered = True
        self._back_at = -inf

    async def attribute(
        self, fault: Fault, *, witnessed: bool = True, since: float | None = None
    ) -> Fault:
        """Give the fault of a target without an answer, or one of our own in its place.

        `since` is when that began which failed, in the time of the event loop; by default now.
        `witnessed` is False where the witnesses say nothing about the way to the target. What began
        before they answered again may have been lost while they did not.
        """
        witnessed = witnessed and bool(self._stands)
        there, names = await asyncio.gather(
            self._is_there(since, asks=witnessed),
            self._hear_names(since, asks=doubts_names(fault, witnessed=witnessed)),
        )

        return attribute(
            fault,
            witnessed=witnessed,
            there=there,
            was_there=since is None or since >= self._back_at,
            names=names,
            of_witnesses=self._named,
        )

    async def ask_each(self) -> list[bool]:
        """Say of each witness, in order, whether it answers in time."""

        async def ask(stand: _Stand) -> bool:
            try:
                async with asyncio.timeout(PATIENCE.total_seconds()):
                    return await self._ask(stand)
            except TimeoutError:
                return False

        return list(await asyncio.gather(*map(ask, self._stands)))

    def hear_of_network(self) -> None:
        """Take note that something outside has answered: the monitor is not cut off."""
        if not self._answered:
            self._turn(asyncio.get_running_loop().time(), answered=True)

    async def close(self) -> None:
        """End what is being asked."""
        await asyncio.gather(self._network.close(), self._names.close())

    async def _is_there(self, since: float | None, *, asks: bool) -> bool:
        return not asks or bool(await self._network.outcome(since))

    async def _hear_names(self, since: float | None, *, asks: bool) -> Mapping[str, Heard] | None:
        return await self._names.outcome(since) if asks else {}

    async def _ask_stands(self) -> bool:
        """Ask all witnesses until one has answered."""
        began = asyncio.get_running_loop().time()
        asking = {asyncio.create_task(self._ask(stand)) for stand in self._stands}
        answered = False
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE.total_seconds()):
                    while asking and not answered:
                        done, asking = await asyncio.wait(
                            asking, return_when=asyncio.FIRST_COMPLETED
                        )
                        answered = any(task.result() for task in done)
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

        self._turn(began, answered=answered)

        return answered

    def _turn(self, began: float, *, answered: bool) -> None:
        """Notice that they fall silent, or answer again since a question that began then."""
        if self._answered and not answered:
            _log.warning("no_witness_answers", asked=len(self._stands))
        if answered and not self._answered:
            self._back_at = began
            _log.info("witnesses_answer_again")
        self._answered = answered

    async def _ask(self, stand: _Stand) -> bool:
        try:
            addresses = await self._resolver.begin(stand.host, stand.port).answer()
            sock = await connect_any(addresses)
            if stand.request:
                return await _answers_http(stand, sock)
            sock.close()
        # uvloop raises RuntimeError where a descriptor is no longer usable
        except (OSError, UnicodeError, RuntimeError, MemoryError) as error:
            _log.debug("witness_silent", host=stand.host, port=stand.port, error=str(error))
            return False

        return True

    async def _ask_names(self) -> Mapping[str, Heard]:
        """Ask for the names of the witnesses and for a few others, all at once."""
        names = dict.fromkeys((*self._named, *self._known(_CANDIDATES)))
        try:
            foreign = await asyncio.to_thread(without_own_names, names)
        except RuntimeError:
            return {}  # no thread to be had: nothing can be asked either

        asked = foreign[: len(self._named) + _OTHER_NAMES]
        heard = await asyncio.gather(*(self._hear(name) for name in asked))

        return dict(zip(asked, heard, strict=True))

    async def _hear(self, name: str) -> Heard:
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                await self._resolver.begin(name, 0).answer()
        except OSError as error:  # also that the time is up
            return Heard.REFUSAL if is_answer(error) else Heard.NOTHING
        except (UnicodeError, MemoryError):
            return Heard.NOTHING

        return Heard.ADDRESSES


class _Round(Generic[T]):
    """One question at a time, and its outcome for all who have the same doubt."""

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, T]], name: str) -> None:
        self._ask = ask
        self._name = name
        self._task: asyncio.Task[T] | None = None
        self._ended_at = 0.0

    async def outcome(self, since: float | None) -> T | None:
        """Give what was found out, by asking unless that is fresh; None once it is closed."""
        now = asyncio.get_running_loop().time()
        believed = SHARED if since is not None and since <= self._ended_at else FRESH
        too_old = now >= self._ended_at + believed.total_seconds()
        if self._task is None or (self._task.done() and too_old):
            self._task = asyncio.create_task(self._run(), name=self._name)
        asked = self._task
        await asyncio.wait({asked})  # whoever stops waiting does not end the round for the others

        return None if asked.cancelled() else asked.result()

    async def close(self) -> None:
        """End what is being asked."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> T:
        found = await self._ask()
        self._ended_at = asyncio.get_running_loop().time()

        return found


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
    """Give the context that verifies: whoever answers in a witness's place proves nothing.

    Raises OSError where the trust store may have been left out, as it could not be opened.
    """
    context = ssl.create_default_context()
    require_descriptor()

    return context


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
