"""One observation while it is made: what is known so far, its time, and how it is written down."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import Code, Fault, Measure, Observation, Phase
from monitor.logs import Log
from monitor.probes._net.deadline import Deadline
from monitor.probes._net.faults import Faulted
from monitor.probes._net.stopwatch import Stopwatch
from monitor.probes._net.timeouts import explain_timeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from monitor.core.model.observation import Certificate, HeaderLines
    from monitor.probes._net.resolve import Question
    from monitor.probes.probe import ProbeContext

EVERY_PHASE: Final[Mapping[Phase, str]] = MappingProxyType({phase: phase.value for phase in Phase})
"""Each phase by its own name."""

_log = Log()


class Look:
    """What is known so far of one observation; a kind of probe fills it in while it asks.

    `target` is what is asked, as it may be shown. `peer` is whom a fault speaks of, mostly host and
    port; `awaited` is what it has to do next, where that is more than to `answer`. What is written
    here stays part of the observation whatever comes after it.
    """

    __slots__ = (
        "address",
        "awaited",
        "body",
        "body_truncated",
        "certificate",
        "headers",
        "host",
        "http_version",
        "ip_family",
        "measures",
        "no_figure",
        "peer",
        "question",
        "status",
        "target",
        "tls_version",
        "values",
        "watch",
    )

    def __init__(self, target: str) -> None:
        self.watch = Stopwatch()
        self.target = target
        self.peer = target
        self.host = target
        self.awaited = "answer"
        self.question: Question | None = None
        self.address: str | None = None
        self.ip_family: int | None = None
        self.certificate: Certificate | None = None
        self.tls_version: str | None = None
        self.status: int | None = None
        self.http_version: str | None = None
        self.headers: HeaderLines = ()
        self.body = b""
        self.body_truncated = False
        self.values: dict[str, object] = {}
        self.measures: list[Measure] = []
        self.no_figure = ""

    def measure(self, family: str, value: float, **labels: str) -> None:
        """Add a sample of a series that the kind has."""
        self.measures.append(
            Measure(family=family, value=float(value), labels=tuple(labels.items()))
        )

    def write_down(self, at: datetime, fault: Fault | None) -> Observation:
        """Write what is known as an observation that began `at`."""
        return Observation(
            at=at,
            duration=self.watch.elapsed(),
            fault=fault,
            phases=self.watch.phases(),
            url=self.target,
            status=self.status,
            http_version=self.http_version,
            headers=self.headers,
            certificate=self.certificate,
            tls_version=self.tls_version,
            ip_family=self.ip_family,
            address=self.address,
            body=self.body,
            body_truncated=self.body_truncated,
            values=MappingProxyType(self.values),
            measures=tuple(self.measures),
            no_figure=self.no_figure,
        )


async def observe(
    context: ProbeContext,
    target: str,
    ask: Callable[[Look], Awaitable[None]],
    *,
    conclude: Callable[[Look], None] | None = None,
) -> Observation:
    """Make one observation within the time that the context allows.

    `ask` fills in the look. It may raise Faulted, and is cancelled when the time is up; what it
    holds it gives back in its own `finally`, without waiting. Any other exception is a fault of
    ours. `conclude` is called at the end in any case, for measures of what did take place. A
    cancellation from outside passes.
    """
    at = context.clock()
    look = Look(target)
    deadline = Deadline(context.timeout.total_seconds())
    fault: Fault | None = None
    try:
        await ask(look)
    except Faulted as error:
        fault = error.fault
    except asyncio.CancelledError:
        if not deadline.claims():
            raise
        fault = explain_timeout(
            look.watch,
            context.timeout,
            peer=look.peer,
            question=look.question,
            received=len(look.body),
            awaited=look.awaited,
        )
    except Exception as error:  # noqa: BLE001 -- a fault of ours must not look like the target's
        fault = explain_bug(error, target)
    finally:
        deadline.stop()
        look.watch.leave()

    if conclude is not None:
        conclude(look)

    return look.write_down(at, fault)


def explain_bug(error: Exception, target: str) -> Fault:
    """Tell of a bug, while its exception is handled: it must not look like the target's fault."""
    _log.exception("probe_failed_inside", target=target)

    return Fault(
        code=Code.INTERNAL,
        message=f"the probe failed inside the monitor: {type(error).__name__}",
        own=True,
    )


def measure_phases(look: Look, family: str, names: Mapping[Phase, str] = EVERY_PHASE) -> None:
    """Add the times of phases that took place, under the names that a family has for them.

    Those of one name are added up, and those without a name left out.
    """
    spent: dict[str, float] = {}
    for phase, time in look.watch.phases().items():
        if name := names.get(phase):
            spent[name] = spent.get(name, 0.0) + time.total_seconds()
    for name, seconds in spent.items():
        look.measure(family, seconds, phase=name)
