"""What was seen since the start: the newest answers, the open windows, how often it was judged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from monitor.core import windows
from monitor.core.judge import judge
from monitor.core.lateness import is_timely
from monitor.core.model.endpoint import (
    DriftRule,
    LatencyRule,
    RateRule,
    ValueWindowRule,
    WindowRule,
)
from monitor.core.model.verdict import JUDGED, Outcome, Verdict
from monitor.core.pins import judge_drift
from monitor.core.rates import SlidingShare
from monitor.core.values import carrier_fault, read_number

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import datetime, timedelta

    from monitor.core.baselines import Frozen
    from monitor.core.model.check_state import CheckState
    from monitor.core.model.endpoint import Check, Endpoint, Sample
    from monitor.core.model.observation import Observation
    from monitor.core.model.pin import HeaderPin

STALE_AFTER_INTERVALS: Final = 2


def _never(_check: Check, _at: datetime) -> datetime | None:
    """Say that baselines move along with time."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """The newest probe of an endpoint, without its body, and what each check said of it.

    `verdicts` holds the newest verdict of every check, also of windows that closed earlier.
    """

    endpoint: Endpoint
    observation: Observation
    verdicts: Mapping[str, Verdict]
    body_length: int = 0

    def fresh(self, now: datetime) -> bool:
        """Whether it is not older than two intervals, counted from the end of the probe."""
        done = self.observation.at + self.observation.duration

        return now - done <= STALE_AFTER_INTERVALS * self.endpoint.every


class Sight:
    """Judges what is seen, and remembers the newest of it; nothing of this outlives the process.

    `mask` takes secrets out of what a target echoed, before anything is stored or told.
    """

    def __init__(self, mask: Callable[[str], str]) -> None:
        self.latest: dict[str, Latest] = {}
        self._windows: dict[str, windows.Window] = {}
        self._shares: dict[str, SlidingShare] = {}
        self._judged: dict[str, int] = {}
        self._mask = mask

    def take(
        self,
        endpoint: Endpoint,
        observation: Observation,
        *,
        scheduled: bool,
        pins: Mapping[str, HeaderPin],
        frozen: Callable[[Check, datetime], datetime | None] = _never,
    ) -> dict[str, tuple[Verdict, ...]]:
        """Give the verdicts of each check: one for a sample, one for each window that closed.

        `frozen` says since when the baseline of a check stands still at a time.
        """
        verdicts: dict[str, tuple[Verdict, ...]] = {}
        for check in endpoint.checks:
            match check.rule:
                case LatencyRule() | ValueWindowRule() as rule:
                    said = self._judge_window(
                        check, rule, endpoint, observation, scheduled, partial(frozen, check)
                    )
                case RateRule() as rate:
                    said = self._judge_rate(check, rate, verdicts.get(rate.of, ()), scheduled)
                case DriftRule() as drift:
                    said = (judge_drift(check, drift, observation, pins, self._mask),)
                case _:
                    said = (judge(check, observation, mask=self._mask),)
            verdicts[check.id] = tuple([self._masked(verdict) for verdict in said])
            if said and any(verdict.outcome in JUDGED for verdict in said):
                self._judged[check.id] = self._judged.get(check.id, 0) + 1
        self._remember(endpoint, observation, verdicts)

        return verdicts

    def judged(self, check: str) -> int:
        """Say in how many probes since the start a check was judged a pass or a fail."""
        return self._judged.get(check, 0)

    def keep(self, endpoints: Mapping[str, Endpoint], checks: Collection[str]) -> None:
        """Forget the endpoints that are gone, and what was said of other checks than these."""
        self.latest = {
            name: replace(
                latest,
                endpoint=endpoints[name],
                verdicts={id: said for id, said in latest.verdicts.items() if id in checks},
            )
            for name, latest in self.latest.items()
            if name in endpoints
        }
        self._windows = {id: window for id, window in self._windows.items() if id in checks}
        self._shares = {id: share for id, share in self._shares.items() if id in checks}
        self._judged = {id: count for id, count in self._judged.items() if id in checks}

    def restore_window(
        self,
        check: Check,
        samples: Iterable[tuple[datetime, Sample]],
        state: CheckState | None,
        now: datetime,
    ) -> None:
        """Fill the open window of a check again by how far it was judged, if it means the same."""
        assert isinstance(check.rule, WindowRule)
        if state is not None and state.fingerprint != check.fingerprint:
            return

        self._windows[check.id] = windows.restore(
            check.rule,
            samples,
            state.window_end if state else None,
            now=now,
            since=state.counted_since if state else None,
            failed=state.failed_windows if state else (),
        )

    def restore_share(
        self,
        check: Check,
        counted: Check,
        seen: Iterable[tuple[datetime, bool]],
        states: Mapping[str, CheckState],
    ) -> None:
        """Fill the sliding time of a failure rate: when probes were judged, True for a fail.

        What `counted` is must mean the same as when it was judged, and so must the rate itself.
        """
        state, own = (states.get(one.id) for one in (counted, check))
        if state is None or state.fingerprint != counted.fingerprint:
            return
        if own is not None and own.fingerprint != check.fingerprint:
            return

        since = (one.counted_since for one in (state, own) if one is not None)
        begun = max((one for one in since if one is not None), default=None)
        self._shares[check.id] = SlidingShare(
            [one for one in seen if begun is None or one[0] > begun]
        )

    def set_clock(self, by: timedelta) -> None:
        """Move what is known along with the clock; open windows count for nothing."""
        self.latest = {
            name: replace(
                latest, observation=replace(latest.observation, at=latest.observation.at + by)
            )
            for name, latest in self.latest.items()
        }
        self._windows = {
            id: windows.begin_anew(window.history, by) for id, window in self._windows.items()
        }
        for share in self._shares.values():
            share.move(by)

    def note_absence(self, until: datetime) -> None:
        """Note in all open windows that nobody watched for a while."""
        self._windows = {
            id: windows.note_absence(window, until) for id, window in self._windows.items()
        }

    def waiting(self, check: Check) -> tuple[int, int] | None:
        """How many samples the open window of a check has, and how many it needs."""
        if isinstance(check.rule, RateRule):
            share = self._shares.get(check.id)
            return None if share is None else (len(share), check.rule.min_samples)

        window = self._windows.get(check.id)
        if window is None or not isinstance(check.rule, WindowRule):
            return None

        return windows.window_progress(check.rule, window)

    def _judge_window(
        self,
        check: Check,
        rule: WindowRule,
        endpoint: Endpoint,
        observation: Observation,
        scheduled: bool,
        frozen: Frozen,
    ) -> tuple[Verdict, ...]:
        """Put a sample into its window; a retry, or a fault of our own, asked nothing of it."""
        silence = None
        if isinstance(rule, ValueWindowRule):
            sample: Sample | None = read_number(rule.expectation, observation)
            silence = carrier_fault(observation)
            own = silence is not None
        else:
            sample = windows.latency_sample(observation, endpoint.timeout)
            fault = observation.fault
            own = sample is None and (
                (fault is not None and fault.own) or not is_timely(observation)
            )
        asked = scheduled and not own
        self._windows[check.id], verdicts = windows.advance_window(
            rule,
            self._windows.get(check.id),
            sample if asked else None,
            observation.at,
            asked=asked,
            silence=silence if scheduled else None,
            frozen=frozen,
        )

        return verdicts

    def _judge_rate(
        self, check: Check, rule: RateRule, verdicts: tuple[Verdict, ...], scheduled: bool
    ) -> tuple[Verdict, ...]:
        """Count what another check said of a scheduled probe; unknown counts for nothing."""
        if not scheduled or not verdicts or verdicts[-1].outcome not in JUDGED:
            return ()

        share = self._shares.setdefault(check.id, SlidingShare())

        return (share.take(rule, verdicts[-1].at, verdicts[-1].outcome is Outcome.FAIL),)

    def _remember(
        self,
        endpoint: Endpoint,
        observation: Observation,
        verdicts: Mapping[str, tuple[Verdict, ...]],
    ) -> None:
        before = self.latest.get(endpoint.name)
        newest = {id: said[-1] for id, said in verdicts.items() if said}
        if before is not None and len(newest) < len(verdicts):
            newest = {**before.verdicts, **newest}
        self.latest[endpoint.name] = Latest(
            endpoint=endpoint,
            observation=replace(observation, body=b"") if observation.body else observation,
            verdicts=newest,
            body_length=len(observation.body),
        )

    def _masked(self, verdict: Verdict) -> Verdict:
        if not verdict.reasons:
            return verdict

        return replace(
            verdict,
            reasons=tuple(
                replace(
                    reason,
                    message=self._mask(reason.message),
                    expected=self._mask(reason.expected),
                    found=self._mask(reason.found),
                )
                for reason in verdict.reasons
            ),
        )
