"""Observes one journey: its steps in order, within one time and with one set of cookies."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import Evidence, Source
from monitor.core.judge import judge_health
from monitor.core.model.endpoint import HealthRule
from monitor.core.model.observation import Code, Fault, Measure, Observation
from monitor.options import format_duration
from monitor.probes._http.cookies import Jar
from monitor.probes._http.probe import HttpProbe
from monitor.probes._journey.captures import Answered, NothingCaptured
from monitor.probes._journey.filling import NotSent, fill_step
from monitor.probes._journey.templates import as_text, names_in
from monitor.probes._journey.veil import Veil
from monitor.probes._net.look import explain_bug

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from yarl import URL

    from monitor.core.model.observation import Phase
    from monitor.core.model.verdict import Reason
    from monitor.probes._http.options import HttpOptions
    from monitor.probes._journey.captures import Captured
    from monitor.probes._journey.options import JourneyOptions, StepOptions
    from monitor.probes.probe import ProbeContext

_MOST_SAID: Final = 3  # of what is wrong with one answer
_LEAST: Final = timedelta(milliseconds=1)


@dataclass(slots=True, kw_only=True)
class _Way:
    """How far one observation has come: what was captured, and how long each step took."""

    at: datetime
    began: float
    jar: Jar = field(default_factory=Jar)
    captured: dict[str, Captured] = field(default_factory=dict)
    veil: Veil = field(default_factory=Veil)
    rows: list[dict[str, object]] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    phases: dict[Phase, timedelta] = field(default_factory=dict)

    @property
    def passed(self) -> timedelta:
        """For how long it has gone on."""
        return timedelta(seconds=time.monotonic() - self.began)

    def keep(self, found: dict[str, Captured]) -> None:
        """Keep what was captured, which is secret from now on."""
        self.captured |= found
        for one in found.values():
            self.veil.learn(as_text(one.value))

    def hide_credentials(self, options: HttpOptions) -> None:
        """Hide what is made of a captured password before it is sent: encoded, with its name."""
        if options.request.auth is not None:
            for secret in options.request.auth.secrets:
                self.veil.learn(secret.current)


class JourneyProbe:
    """Takes each step in order; the first that fails ends it, but for those that always run."""

    def __init__(self, options: JourneyOptions, context: ProbeContext) -> None:
        self._options = options
        self._context = replace(context, preflight=False, expectations=MappingProxyType({}))
        self._rules = [
            HealthRule(expectations=context.expectations.get((index, "expect"), ()))
            for index in range(len(options.steps))
        ]

    async def observe(self) -> Observation:
        """Go once; whatever goes wrong is part of what is seen. Lets a cancellation pass."""
        way = _Way(at=self._context.clock(), began=time.monotonic())
        try:
            fault = await self._go(way)
        except Exception as error:  # noqa: BLE001 -- a fault of ours must not look like the target's
            fault = explain_bug(error, self._options.target)

        return Observation(
            at=way.at,
            duration=way.passed,
            fault=fault,
            phases=MappingProxyType(way.phases),
            url=self._options.target,
            values=MappingProxyType({"rows": way.rows}),
            measures=tuple(way.measures),
        )

    async def close(self) -> None:
        """Hold nothing: each observation gives back what it used."""

    async def _go(self, way: _Way) -> Fault | None:
        """Take the steps; give what is wrong, which says which step it was."""
        fault: Fault | None = None
        for index, step in enumerate(self._options.steps):
            if fault is not None and not (step.always and _can_be_sent(step, way)):
                continue
            wrong = await self._take(index, step, way)
            if wrong is None:
                continue
            fault = wrong if fault is None else _add(fault, wrong)

        return fault

    async def _take(self, index: int, step: StepOptions, way: _Way) -> Fault | None:
        """Take one step, again and again where it waits for something."""
        began, times = time.monotonic(), 0
        while True:
            times += 1
            seen, fault = await self._ask(index, step, way)
            late = step.poll is None or way.passed + step.poll >= self._context.timeout
            if fault is None or fault.own or seen is None or seen.fault is not None or late:
                break
            assert step.poll is not None
            await asyncio.sleep(step.poll.total_seconds())

        took = time.monotonic() - began
        row: dict[str, object] = {"step": step.name}
        if seen is not None and seen.status is not None:
            row["status"] = seen.status
        way.rows.append(row | {"seconds": round(took, 6)})
        measured = {"seconds": took, "success": float(fault is None)}
        way.measures += [
            Measure(family=f"probe_journey_step_{what}", value=value, labels=(("step", step.name),))
            for what, value in measured.items()
        ]
        if fault is None:
            return None

        return self._name(fault, index, step, times, way)

    async def _ask(
        self, index: int, step: StepOptions, way: _Way
    ) -> tuple[Observation | None, Fault | None]:
        """Ask once; give the answer, if there is one, and what is wrong."""
        left = self._context.timeout - way.passed
        if left <= _LEAST:
            message = "no time was left for it"
            return None, Fault(code=Code.TIMEOUT, message=message)

        try:
            options = fill_step(step, way.captured, self._options.origins)
        except NotSent as error:
            return None, Fault(code=Code.BAD_RESPONSE, message=f"it was not sent: {error}")

        way.hide_credentials(options)
        probe = HttpProbe(options, replace(self._context, timeout=left))
        seen, url = await probe.visit(way.jar)
        for phase, spent in seen.phases.items():
            way.phases[phase] = way.phases.get(phase, timedelta()) + spent
        if seen.fault is not None or url is None:
            return seen, seen.fault

        return seen, self._judge(index, step, seen, url, way)

    def _judge(
        self, index: int, step: StepOptions, seen: Observation, url: URL, way: _Way
    ) -> Fault | None:
        """Capture what there is, so that it is masked, and say what is wrong with the answer."""
        evidence = Evidence(seen, self._mask(way))
        answered = Answered(evidence=evidence, url=url, jar=way.jar)
        found: dict[str, Captured] = {}
        missing: list[str] = []
        for name, capture in step.capture.items():
            try:
                found[name] = capture.find(answered)
            except NothingCaptured as error:
                missing.append(f"{{{name}}} was not captured: {error}")
        way.keep(found)

        reasons = judge_health(self._rules[index], evidence)
        if reasons:
            return self._explain(index, reasons)
        if missing:
            return Fault(code=Code.EXPECTATION, message="; ".join(missing[:_MOST_SAID]))

        return None

    def _explain(self, index: int, reasons: tuple[Reason, ...]) -> Fault:
        first = reasons[0]
        said = [reason.message for reason in reasons[:_MOST_SAID]]
        if len(reasons) > _MOST_SAID:
            said.append(f"{len(reasons) - _MOST_SAID} more")
        times = {
            one.at for one in self._rules[index].expectations if one.source is Source.RESPONSE_TIME
        }

        return Fault(
            code=first.code,
            message="; ".join(said),
            expected=first.expected,
            found=first.found,
            at=first.at,
            of_time=all(reason.at in times for reason in reasons),
        )

    def _name(self, fault: Fault, index: int, step: StepOptions, times: int, way: _Way) -> Fault:
        """Say which step it was, and take out what was captured."""
        mask = self._mask(way)
        again = f" (asked {times} times)" if times > 1 else ""
        if fault.code is Code.TIMEOUT and index:
            again += f" (all steps together have {self._all()})"
        which = f"step {index + 1} of {len(self._options.steps)}, {step.name}"

        return replace(
            fault,
            message=mask(f"{which}: {fault.message}{again}"),
            expected=mask(fault.expected),
            found=mask(f"{which}: {fault.found}") if fault.found else "",
            asked=mask(step.shown),
        )

    def _all(self) -> str:
        return format_duration(self._context.timeout)

    def _mask(self, way: _Way) -> Callable[[str], str]:
        return lambda text: way.veil.mask(self._context.mask(text))


def _can_be_sent(step: StepOptions, way: _Way) -> bool:
    """Whether all that the step needs was captured before the journey failed."""
    return all(name in way.captured for _, text in step.texts for name in names_in(text))


def _add(fault: Fault, also: Fault) -> Fault:
    return replace(fault, message=f"{fault.message}; also {also.message}")
