"""The pure engine: an observation, a marker or a tick comes in; memory moves, and Changes go out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from monitor.core import incidents, tracker, windows
from monitor.core.alerting import plan
from monitor.core.judge import judge
from monitor.core.model.changes import Changes, Result
from monitor.core.model.endpoint import LatencyRule
from monitor.core.model.verdict import Outcome, Verdict
from monitor.core.version import read_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from monitor.core.model.check_state import CheckEvent, CheckState
    from monitor.core.model.endpoint import Check, Endpoint
    from monitor.core.model.observation import Observation
    from monitor.core.model.service import Directory
    from monitor.core.situation import Situation

STALE_AFTER_INTERVALS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """The newest probe of an endpoint, without its body, and what each check said of it.

    `verdicts` holds the newest verdict of every check, also of windows that closed earlier.
    """

    endpoint: Endpoint
    observation: Observation
    verdicts: Mapping[str, Verdict]
    scheduled: bool

    def fresh(self, now: datetime) -> bool:
        """Whether it is not older than two intervals."""
        return now - self.observation.at <= STALE_AFTER_INTERVALS * self.endpoint.every


class Engine:
    """Everything that decides, over one `Situation`; each method applies what it returns.

    The daemon, the one-shot check and the replay drive this same object. It reads no clock: `now`
    is an argument. What it returns is what has to become durable before anybody is told.
    """

    def __init__(
        self,
        *,
        endpoints: Iterable[Endpoint],
        directory: Directory,
        situation: Situation,
        mask: Callable[[str], str],
    ) -> None:
        self.situation = situation
        self.directory = directory
        self.endpoints: dict[str, Endpoint] = {}
        self.checks: dict[str, Check] = {}
        self.latest: dict[str, Latest] = {}
        self._windows: dict[str, windows.Window] = {}
        self._mask = mask
        self._watch(endpoints)

    def take(
        self, endpoint: Endpoint, observation: Observation, *, scheduled: bool, now: datetime
    ) -> Changes:
        """Judge one observation by each check of its endpoint, and draw all consequences."""
        verdicts = self._judge(endpoint, observation, scheduled)
        states, events = self._advance(endpoint, verdicts)
        self._remember(endpoint, observation, verdicts, scheduled)
        version = self._version(endpoint, observation)
        seen = Changes(
            states=states,
            results=(self._result(endpoint, observation, verdicts, scheduled, version),),
        )

        self.situation.apply(seen)
        deployed = self._see_version(endpoint.service, version, now)
        told = self._tell(events, now)
        acted = self._decide(endpoint.service, now)

        return Changes.merge((seen, deployed, told, acted))

    def _judge(
        self, endpoint: Endpoint, observation: Observation, scheduled: bool
    ) -> dict[str, tuple[Verdict, ...]]:
        """Give the verdicts of each check: one for a sample, one for each window that closed."""
        return {
            check.id: tuple(
                self._masked(verdict)
                for verdict in (
                    self._judge_window(check, check.rule, endpoint, observation, scheduled)
                    if isinstance(check.rule, LatencyRule)
                    else (replace(judge(check, observation), scheduled=scheduled),)
                )
            )
            for check in endpoint.checks
        }

    def _judge_window(
        self,
        check: Check,
        rule: LatencyRule,
        endpoint: Endpoint,
        observation: Observation,
        scheduled: bool,
    ) -> tuple[Verdict, ...]:
        sample = windows.latency_sample(observation, endpoint.timeout) if scheduled else None
        window, verdicts = windows.advance_window(
            rule, self._windows.get(check.id), sample, observation.at
        )
        self._windows[check.id] = window

        return verdicts
