"""Pings one host: as many echo requests as the options say, one after another."""

from __future__ import annotations

import asyncio
import errno
from statistics import fmean
from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import Code, Fault, Phase
from monitor.probes._icmp.options import IcmpOptions
from monitor.probes._icmp.sockets import open_socket
from monitor.probes._icmp.volley import Volley
from monitor.probes._net.asking import NetworkProbe
from monitor.probes._net.datagram import reach
from monitor.probes._net.faults import Faulted, explain_connect

if TYPE_CHECKING:
    import socket

    from monitor.probes._icmp.packets import Trouble
    from monitor.probes._net.look import Look

_PAUSE: Final = 0.2
_SHARE_FOR_SENDING: Final = 0.5
_SHARE_FOR_WAITING: Final = 0.9
"""Of the time that there is: all has to be sent, and what came is judged, before it is up."""

_LEAST_PATIENCE: Final = 1.0
_PATIENCE: Final = 3
"""Once there are replies, others are waited for as long, or so many times the slowest."""

_FAMILY: Final = "probe_icmp_duration_seconds"
_PHASES: Final = {Phase.RESOLVE: "resolve", Phase.CONNECT: "setup"}


class IcmpProbe(NetworkProbe[IcmpOptions]):
    """Sends requests whose content nobody can guess, and knows the replies by it."""

    durations = _FAMILY
    phase_names = _PHASES

    async def _ask(self, look: Look) -> None:
        sock = await reach(
            look,
            self._context.resolver,
            self._way,
            lambda family: open_socket(family, self._options),
        )
        look.watch.enter(Phase.PROCESSING)
        volley = Volley(sock, look.address or "")
        try:
            await self._fire(look, volley)
        except OSError as error:
            raise Faulted(explain_sending(error, look.peer)) from error
        finally:
            _note(look, volley, self._options.count)
            own_address = _own_address(sock)
            sock.close()

        if not volley.times:
            trouble = next(iter(volley.troubles.values()))
            raise Faulted(_explain(trouble, look.peer, own_address))

    async def _fire(self, look: Look, volley: Volley) -> None:
        """Send all, hear what comes meanwhile, and wait for the rest."""
        loop = asyncio.get_running_loop()
        whole = self._context.timeout.total_seconds()
        began = loop.time() - look.watch.elapsed().total_seconds()
        pause = min(_PAUSE, whole * _SHARE_FOR_SENDING / self._options.count)

        volley.send(self._options.size)
        for _ in range(1, self._options.count):
            then = loop.time() + pause
            while loop.time() < then:
                await volley.listen(then)
            volley.send(self._options.size)

        sent = loop.time()
        while not volley.is_settled:
            if not volley.times and not volley.troubles:
                await volley.listen(None)
                continue
            patience = max(_LEAST_PATIENCE, _PATIENCE * max(volley.times.values(), default=0.0))
            until = min(sent + patience, began + whole * _SHARE_FOR_WAITING)
            if loop.time() >= until:
                return
            await volley.listen(until)


def _note(look: Look, volley: Volley, count: int) -> None:
    """Write down what is known, also where the time is up."""
    lost = 1 - len(volley.times) / count
    look.values["value"] = lost
    look.measure("probe_icmp_loss_ratio", lost)
    if volley.times:
        look.measure(_FAMILY, fmean(volley.times.values()), phase="rtt")
    if volley.hop_limit is not None:
        look.measure("probe_icmp_reply_hop_limit", volley.hop_limit)


def _own_address(sock: socket.socket) -> str:
    return str(sock.getsockname()[0])


def _explain(trouble: Trouble, peer: str, own_address: str) -> Fault:
    """Say what was said in place of a reply; who has no neighbour of an address says so itself."""
    said = trouble.words
    if trouble.by == own_address:
        said = "no machine of this network has its address"
    elif trouble.by and trouble.by != peer:
        said = f"{said}, says {trouble.by}"

    return Fault(code=Code.CONNECTION_REFUSED, message=f"{peer} could not be reached: {said}")


def explain_sending(error: OSError, peer: str) -> Fault:
    """Say why a request could not be sent."""
    match error.errno:
        case errno.EPERM:
            message = f"this machine lets no ping to {peer} out: its firewall forbids it"
            return Fault(code=Code.INTERNAL, message=message, own=True)
        case errno.EACCES:
            message = f"{peer} could not be reached: it is the address of a whole network"
            return Fault(code=Code.CONNECTION_REFUSED, message=message)

    return explain_connect(error, peer)
