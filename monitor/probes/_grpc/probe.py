"""Asks a gRPC server for its health, on a connection of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain, shorten
from monitor.core.model.observation import Code, Fault, Phase
from monitor.probes._grpc.health import SERVING, STATUSES, HealthCall, NotHealth, Reply
from monitor.probes._grpc.options import GrpcOptions
from monitor.probes._net.asking import NetworkProbe
from monitor.probes._net.dial import dial, talking
from monitor.probes._net.faults import Faulted

if TYPE_CHECKING:
    from monitor.probes._net.dial import Connection
    from monitor.probes._net.look import Look

_AT_ONCE: Final = 16 * 1024
_LONGEST_MESSAGE: Final = 200
_DEADLINE_EXCEEDED: Final = 4
_UNAVAILABLE: Final = 14
_NOT_LET_IN: Final = frozenset({7, 16})
_PHASES: Final = {
    Phase.RESOLVE: "resolve",
    Phase.CONNECT: "check",
    Phase.TLS: "check",
    Phase.PROCESSING: "check",
}


class GrpcProbe(NetworkProbe[GrpcOptions]):
    """Calls the health service of one server; `value` is the state of the service."""

    durations = "probe_grpc_duration_seconds"
    phase_names = _PHASES

    async def _ask(self, look: Look) -> None:
        status, serving = _UNAVAILABLE, None
        try:
            reply = await self._call(look)
            status, serving = reply.status, reply.serving
            look.values["value"] = _accept(reply, look.peer)
        finally:
            late = look.watch.elapsed() >= self._context.timeout and serving is None
            code = _DEADLINE_EXCEEDED if late and status == _UNAVAILABLE else status
            _measure(look, code, serving)

    async def _call(self, look: Look) -> Reply:
        try:
            metadata = self._options.pairs()
        except ValueError as error:
            message = f"the metadata cannot be sent as it is now: {error}"
            raise Faulted(Fault(code=Code.INTERNAL, message=message, own=True)) from error

        connection = await dial(look, self._context.resolver, self._way)
        look.watch.enter(Phase.PROCESSING)
        try:
            with talking(look):
                return await self._converse(connection, metadata)
        except NotHealth as error:
            message = f"{look.peer} gave no answer to a gRPC health check: {plain(str(error))}"
            raise Faulted(
                Fault(code=Code.BAD_RESPONSE, message=shorten(message, limit=300))
            ) from error
        finally:
            connection.close()

    async def _converse(
        self, connection: Connection, metadata: tuple[tuple[str, str], ...]
    ) -> Reply:
        options = self._options
        call = HealthCall(
            authority=self._way.server_name or str(options.address),
            scheme="https" if options.tls else "http",
            service=options.service,
            metadata=metadata,
            timeout=self._context.timeout,
            user_agent=self._context.user_agent,
        )
        connection.writer.write(call.begin())
        while call.reply is None:
            data = await connection.reader.read(_AT_ONCE)
            if not data:
                raise EOFError
            connection.writer.write(call.receive(data))

        return call.reply


def _accept(reply: Reply, peer: str) -> str:
    """Give the state of the service; raises Faulted where the call had another status than OK."""
    if reply.status == 0:
        number = reply.serving or 0
        return SERVING[number] if number < len(SERVING) else str(number)

    name = STATUSES[reply.status] if reply.status < len(STATUSES) else "an unknown status"
    said = shorten(plain(reply.message), limit=_LONGEST_MESSAGE)
    message = f"{peer} answers the health check with {name} ({reply.status})"
    code = Code.CREDENTIALS if reply.status in _NOT_LET_IN else Code.STATUS

    raise Faulted(Fault(code=code, message=f"{message}: {said}" if said else message))


def _measure(look: Look, status: int, serving: int | None) -> None:
    look.measure("probe_grpc_ssl", float(look.tls_version is not None))
    look.measure("probe_grpc_status_code", float(status))
    for number, name in enumerate(SERVING):
        value = float(serving == number)
        look.measure("probe_grpc_healthcheck_response", value, serving_status=name)
