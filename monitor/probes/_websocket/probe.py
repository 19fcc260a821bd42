"""Opens a WebSocket, on a connection of its own, and goes through the dialogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from monitor.core.expectations.shown import plain, quote, shorten
from monitor.core.model.observation import Code, Fault, Phase
from monitor.probes._net.asking import NetworkProbe
from monitor.probes._net.dial import dial, talking
from monitor.probes._net.dialogue import Heard
from monitor.probes._net.faults import Faulted
from monitor.probes._net.look import EVERY_PHASE
from monitor.probes._websocket.handshake import open_protocol, read_head
from monitor.probes._websocket.messages import Ended, Messages
from monitor.probes._websocket.options import WebsocketOptions

if TYPE_CHECKING:
    from websockets.client import ClientProtocol

    from monitor.probes._net.dial import Connection
    from monitor.probes._net.dialogue import Pattern
    from monitor.probes._net.look import Look

_UPGRADED: Final = 101
_MOST_INTERIM: Final = 5
_LONGEST_REASON: Final = 150


class WebsocketProbe(NetworkProbe[WebsocketOptions]):
    """Opens one WebSocket; the newest message that was heard is the `body`."""

    durations = "probe_websocket_duration_seconds"
    phase_names: ClassVar = {**EVERY_PHASE, Phase.TLS: "connect"}

    async def _ask(self, look: Look) -> None:
        failed = False
        try:
            await self._open_and_talk(look)
        except Faulted as error:
            failed = error.fault.code is Code.EXPECTATION
            raise
        finally:
            if self._options.dialogue:
                look.measure("probe_websocket_failed_due_to_regex", failed)

    def _conclude(self, look: Look) -> None:
        super()._conclude(look)
        look.measure("probe_websocket_status_code", look.status or 0)
        look.measure("probe_websocket_connection_upgraded", look.status == _UPGRADED)

    async def _open_and_talk(self, look: Look) -> None:
        connection = await dial(look, self._context.resolver, self._way)
        look.watch.enter(Phase.PROCESSING)
        try:
            with talking(look):
                protocol, request = open_protocol(self._options, self._context.user_agent)
                connection.writer.write(request)
                head = await _hear_head(look, connection)
                if look.status == _UPGRADED:
                    self._agree(look, protocol, head)
                    look.watch.enter(Phase.TRANSFER)
                    await self._converse(look, Messages(look.peer, protocol, connection))
        finally:
            connection.close()

    def _agree(self, look: Look, protocol: ClientProtocol, head: bytes) -> None:
        """Hold the answer against the request; raises Faulted where they do not fit."""
        protocol.receive_data(head)
        protocol.events_received()
        wrong = protocol.handshake_exc
        if wrong is not None:
            said = shorten(plain(str(wrong)), limit=_LONGEST_REASON)
            message = f"{look.peer} answers {_UPGRADED}, but opens no WebSocket: {said}"
            raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message)) from wrong
        if self._options.subprotocols and protocol.subprotocol is None:
            wanted = ", ".join(self._options.subprotocols)
            message = f"{look.peer} speaks none of {wanted} over the WebSocket"
            raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message))

    async def _converse(self, look: Look, messages: Messages) -> None:
        heard = Heard()
        for step in self._options.dialogue:
            if step.expect is not None:
                await _hear(look, messages, heard, step.expect, skip=step.skip)
            if step.send is not None:
                try:
                    messages.send(heard.fill(step.send.reveal()))
                except Ended as error:
                    raise Faulted(_ended(look.peer, error, "that it goes on")) from error
        messages.take_leave()


async def _hear_head(look: Look, connection: Connection) -> bytes:
    """Read the head of the answer into the look, and give it as it came."""
    for _ in range(_MOST_INTERIM):
        raw = await connection.reader.readuntil(b"\r\n\r\n")
        head = read_head(raw, look.peer)
        if head.status >= 200 or head.status == _UPGRADED:
            look.status, look.http_version, look.headers = head.status, head.version, head.headers
            return raw

    message = f"{look.peer} sent nothing but interim answers"
    raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message))


async def _hear(
    look: Look, messages: Messages, heard: Heard, pattern: Pattern, *, skip: bool
) -> None:
    """Wait for the message that is expected; raises Faulted where another comes, or none."""
    wanted = f"a message that matches {quote(pattern.text)}"
    look.awaited = f"send {wanted}"
    while True:
        try:
            said = await messages.next()
        except Ended as error:
            raise Faulted(_ended(look.peer, error, wanted)) from error
        look.body = said
        if heard.match(pattern, said):
            return

        shown = quote(said.decode(errors="replace"))
        if not skip:
            message = f"{look.peer} said {shown}, expected {wanted}"
            raise Faulted(Fault(code=Code.EXPECTATION, message=message))
        look.awaited = f"send {wanted} but {shown}"


def _ended(peer: str, how: Ended, wanted: str) -> Fault:
    return Fault(code=Code.EXPECTATION, message=f"{peer} {how}, expected {wanted}")
