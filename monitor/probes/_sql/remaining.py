"""How long a server may take for what we ask, so that it ends before we stop waiting for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from monitor.probes._net.look import Look
    from monitor.probes.probe import ProbeContext

_SHARE: Final = 0.95
_LONGEST_GOODBYE: Final = 0.5


def milliseconds_left(look: Look, context: ProbeContext) -> int:
    """Give a little less than what is left of the time of this look, and at least one."""
    left = context.timeout - look.watch.elapsed()

    return max(1, int(left.total_seconds() * 1000 * _SHARE))


def seconds_to_leave(look: Look, context: ProbeContext) -> float:
    """Give how long a goodbye may take: what is known already is not lost over it."""
    left = (context.timeout - look.watch.elapsed()).total_seconds()

    return max(0.0, min(_LONGEST_GOODBYE, left * _SHARE))
