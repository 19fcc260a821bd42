"""What is known of one observation while it is made, and what is made of it when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.model.observation import Observation
from monitor.probes._http.proxy import explain_lost_proxy
from monitor.probes._net import timeouts
from monitor.probes._net.stopwatch import Stopwatch

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from monitor.core.model.observation import Fault, Hop
    from monitor.probes._http.answer import Answer
    from monitor.probes._http.connector import Call


class Sighting:
    """What is known so far of one observation."""

    __slots__ = ("call", "hops", "watch")

    def __init__(self) -> None:
        self.watch = Stopwatch()
        self.call: Call | None = None
        self.hops: list[Hop] = []

    @property
    def answer(self) -> Answer | None:
        """What was heard of the answer to the latest request."""
        return self.call.exchange.answer if self.call else None

    def hang_up(self) -> None:
        """Give back the connection of the latest request."""
        if self.call is not None:
            self.call.exchange.hang_up()


def write_down(at: datetime, sighting: Sighting, fault: Fault | None, *, asked: str) -> Observation:
    """Write an observation of what is known; `asked` is its URL where nothing could be sent."""
    call, answer = sighting.call, sighting.answer
    return Observation(
        at=at,
        duration=sighting.watch.elapsed(),
        fault=fault,
        phases=sighting.watch.phases(),
        url=call.wire.shown if call else asked,
        redirects=tuple(sighting.hops),
        certificate=call.certificate if call else None,
        tls_version=call.tls_version if call else None,
        ip_family=call.ip_family if call else None,
        address=call.address if call else None,
        status=answer.status if answer else None,
        http_version=answer.version if answer else None,
        headers=answer.header_lines if answer else (),
        content_length=answer.declared_length if answer else None,
        body=answer.body.content() if answer else b"",
        body_truncated=answer.body.truncated if answer else False,
        remark=_remark(call) if call and call.wire.proxy else "",
    )


def _remark(call: Call) -> str:
    """Say that an answer may be the proxy's own; over TLS it cannot be."""
    return "" if call.wire.secure else f"through {call.wire.proxy}"


def explain_timeout(sighting: Sighting, limit: timedelta) -> Fault:
    """Say what was waited for when the time was up."""
    call = sighting.call
    fault = timeouts.explain_timeout(
        sighting.watch,
        limit,
        peer=call.peer if call else "the target",
        question=call.question if call else None,
        received=sighting.answer.body.received if sighting.answer else 0,
    )
    if call and call.at_proxy and call.wire.proxy:
        return explain_lost_proxy(fault, call.wire.proxy)

    return fault
