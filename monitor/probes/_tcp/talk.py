"""Speaking over a connection line by line: what is heard is bounded, and kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import quote
from monitor.core.model.observation import Code, Fault, Phase
from monitor.probes._net.dial import upgrade
from monitor.probes._net.dialogue import Heard
from monitor.probes._net.faults import Faulted

if TYPE_CHECKING:
    from monitor.probes._net.dial import Connection, Way
    from monitor.probes._net.dialogue import Pattern
    from monitor.probes._net.look import Look

_MOST_HEARD: Final = 256 * 1024
_MOST_LINES: Final = 2000
_AT_ONCE: Final = 16 * 1024


class Mismatch(Faulted):
    """Something else was said than was expected; `exactly` tells which bytes, else which line."""

    def __init__(self, message: str, *, exactly: bool = False) -> None:
        super().__init__(Fault(code=Code.EXPECTATION, message=message))
        self.exactly = exactly


class Talk:
    """One dialogue on one connection; whoever waits here is inside `talking`."""

    __slots__ = ("_connection", "_lines", "_look", "_way", "captured", "heard")

    def __init__(self, look: Look, way: Way, connection: Connection) -> None:
        self._look = look
        self._way = way
        self._connection = connection
        self._lines = 0
        self.heard = bytearray()
        self.captured = Heard()

    @property
    def peer(self) -> str:
        """Whom we speak with."""
        return self._look.peer

    async def hear(self, pattern: Pattern, *, refusal: Pattern | None = None) -> None:
        """Skip lines until one matches; raises Faulted where none does, or one is a refusal."""
        said: bytes | None = None
        wanted = f"a line that matches {quote(pattern.text)}"
        self._look.awaited = f"send {wanted}"
        while (line := await self._line()) is not None:
            if self.captured.match(pattern, line):
                return
            if refusal is not None and self.captured.match(refusal, line):
                raise Mismatch(f"{self.peer} said {_quote(line)}, expected {wanted}")
            said = line
            self._look.awaited = f"send {wanted} but {_quote(line)}"

        if said is None:
            raise Mismatch(f"{self.peer} closed the connection, expected {wanted}")

        raise Mismatch(
            f"{self.peer} said {_quote(said)} and closed the connection, expected {wanted}"
        )

    async def hear_bytes(self, wanted: bytes) -> None:
        """Hear exactly these bytes; raises Faulted where there are others, or fewer."""
        self._look.awaited = f"send {_quote(wanted)}"
        said = await self.read(len(wanted))
        if said != wanted:
            raise Mismatch(
                f"{self.peer} said {_quote(said)}, expected {_quote(wanted)}", exactly=True
            )

    async def read(self, size: int) -> bytes:
        """Read so many bytes, fewer where the connection ends before."""
        try:
            said = await self._connection.reader.readexactly(size)
        except asyncio.IncompleteReadError as error:
            said = error.partial
        self._keep(said)

        return said

    async def hear_until(self, *ends: bytes) -> bytes:
        """Read until one of these appears, and give which; raises Faulted where none does."""
        began = len(self.heard)
        longest = max(map(len, ends))
        while True:
            said = await self._connection.reader.read(_AT_ONCE)
            if not said:
                raise EOFError
            self._keep(said)
            new = self.heard[max(began, len(self.heard) - len(said) - longest) :]
            for end in ends:
                if end in new:
                    return end

    def say(self, text: bytes) -> None:
        """Send something; nobody waits until it is gone."""
        self._connection.writer.write(text)

    async def begin_tls(self) -> None:
        """Begin TLS; raises Faulted where that fails.

        What was sent in plain text before is not to be taken for what is said under TLS: an
        attacker on the way could have put it there.
        """
        if await self._has_more():
            message = f"{self.peer} sent plain text where TLS was to begin"
            raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message))

        await upgrade(self._look, self._way, self._connection)
        self._look.awaited = "answer"
        self._look.watch.enter(Phase.PROCESSING)

    async def _has_more(self) -> bool:
        """Say whether something has come that nobody read; a stream does not tell by itself."""
        reading = asyncio.ensure_future(self._connection.reader.read(1))
        try:
            await asyncio.sleep(0)
            return reading.done() and bool(reading.result())
        finally:
            reading.cancel()

    async def _line(self) -> bytes | None:
        """Read a line without its end; None at the end of all."""
        try:
            line = await self._connection.reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            line = error.partial
        self._keep(line)
        self._lines += 1
        if self._lines > _MOST_LINES:
            raise Faulted(_too_much(self.peer, f"{_MOST_LINES} lines"))

        return line.rstrip(b"\r\n") if line else None

    def _keep(self, said: bytes) -> None:
        self.heard += said
        if len(self.heard) > _MOST_HEARD:
            raise Faulted(_too_much(self.peer, f"{_MOST_HEARD // 1024} KiB"))


def _too_much(peer: str, limit: str) -> Fault:
    message = f"{peer} sent more than {limit} without what was expected among them"

    return Fault(code=Code.BAD_RESPONSE, message=message)


def _quote(said: bytes) -> str:
    return quote(said.decode(errors="replace"))
