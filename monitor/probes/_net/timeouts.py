"""The words for a time that was up: what was waited for, and whose fault that may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.lateness import find_held_up
from monitor.core.model.observation import Code, Fault, Phase
from monitor.options import format_duration

if TYPE_CHECKING:
    from datetime import timedelta

    from monitor.probes._net.resolve import Question
    from monitor.probes._net.stopwatch import Stopwatch


def explain_timeout(
    watch: Stopwatch,
    limit: timedelta,
    *,
    peer: str,
    question: Question | None = None,
    received: int = 0,
    awaited: str = "answer",
) -> Fault:
    """Say what was waited for when the time was up.

    `question` is that for its addresses, `peer` host and port, `received` how many bytes of an
    answer had come, `awaited` what the peer had to do.
    """
    if held_up := find_held_up(watch.elapsed() - limit):
        return held_up

    within = format_duration(limit)
    match watch.phase:
        case Phase.RESOLVE if question:
            return question.explain_timeout(limit)
        case Phase.CONNECT:
            message = f"{peer} did not accept the connection within {within}"
        case Phase.TLS:
            message = f"the TLS handshake with {peer} was not done within {within}"
        case Phase.TRANSFER if awaited == "answer":
            message = (
                f"the answer of {peer} did not end within {within} ({received} bytes received)"
            )
        case _:
            message = f"{peer} did not {awaited} within {within}"

    return Fault(code=Code.TIMEOUT, message=message)
