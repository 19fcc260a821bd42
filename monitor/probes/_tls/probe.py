"""Shakes hands with one server, on a connection of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import Code, Fault
from monitor.probes._net.asking import NetworkProbe
from monitor.probes._net.dial import dial
from monitor.probes._net.faults import Faulted, explain_refused_certificate, explain_tls
from monitor.probes._tls.options import TlsProbeOptions

if TYPE_CHECKING:
    from monitor.probes._net.dial import Connection
    from monitor.probes._net.look import Look

_TRY_SECONDS: Final = 0.01
_TRIES: Final = 100


class TlsProbe(NetworkProbe[TlsProbeOptions]):
    """Looks at the certificate of one server, whether or not it is to be trusted."""

    durations = "probe_tls_duration_seconds"

    async def _ask(self, look: Look) -> None:
        connection = await dial(look, self._context.resolver, self._way)
        try:
            self._check_protocol(look, connection)
            if self._options.cert_file is not None:
                await _hear_of_our_certificate(look, connection)
        finally:
            connection.close()

    def _check_protocol(self, look: Look, connection: Connection) -> None:
        offered = self._options.alpn
        if not offered:
            return

        chosen = connection.writer.get_extra_info("ssl_object").selected_alpn_protocol()
        if chosen is None:
            message = f"{look.peer} speaks none of {', '.join(offered)} over TLS"
            raise Faulted(Fault(code=Code.TLS_HANDSHAKE, message=message))


async def _hear_of_our_certificate(look: Look, connection: Connection) -> None:
    """Wait until the server has accepted our certificate; raises Faulted where it has not.

    Under TLS 1.3 the handshake is over for us before the server has seen it. Then it sends a
    ticket, an alert, or what its protocol begins with; one that does none of it is believed.
    """
    tls = connection.writer.get_extra_info("ssl_object")
    if tls.version() != "TLSv1.3":
        return

    reading = asyncio.ensure_future(connection.reader.read(1))
    tries = 0
    try:
        while not reading.done() and not tls.session.has_ticket and tries < _TRIES:
            await asyncio.wait({reading}, timeout=_TRY_SECONDS)
            tries += 1
        hung_up = reading.done() and not reading.result() and not tls.session.has_ticket
    except OSError as error:
        refused = explain_refused_certificate(error, look.peer)
        raise Faulted(refused or explain_tls(error, look.peer, look.host, None)) from error
    finally:
        reading.cancel()

    if hung_up:
        raise Faulted(explain_tls(ConnectionResetError(), look.peer, look.host, None))
