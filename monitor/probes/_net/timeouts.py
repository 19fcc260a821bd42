"""The words for a time that was up: what was waited for, and whose fault that may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.lateness import find_held_up
from monitor.core.model.observation import Code, Fault, Phase
from monitor.options import format_duration

if TYPE_CHECKING:
    from datetime import timedelta

    from monitor.names import Lookup
    from monitor.probes._net.stopwatch import Stopwatch


def explain_timeout(
    watch: Stopwatch,
    limit: timedelta,
    *,
    host: str,
    peer: str,
    lookup: Lookup | None = None,
    received: int = 0,
) -> Fault:
    """Say what was waited for when the time was up.

    `host` is the name that was looked up, `peer` host and port, `received` how many bytes of an
    answer had come.
    """
    if held_up := find_held_up(watch.elapsed() - limit):
        return held_up

    within = format_duration(limit)
    match watch.phase:
        case Phase.RESOLVE if lookup and not lookup.started:
            message = f"no resolver thread was free within {within} to look up {host}"
            return Fault(code=Code.INTERNAL, message=message, own=True)
        case Phase.RESOLVE:
            message = f"{host} did not resolve within {within}"
            asked = lookup.host if lookup else ""
            return Fault(code=Code.TIMEOUT, message=message, unanswered=asked)
        case Phase.CONNECT:
            message = f"{peer} did not accept the connection within {within}"
        case Phase.TLS:
            message = f"the TLS handshake with {peer} was not done within {within}"
        case Phase.TRANSFER:
            message = (
                f"the answer of {peer} did not end within {within} ({received} bytes received)"
            )
        case _:
            message = f"{peer} did not answer within {within}"

    return Fault(code=Code.TIMEOUT, message=message)
