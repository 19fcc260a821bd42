"""The pure engine: an observation, a marker or a tick comes in; Changes go out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from monitor.core import alerting, incidents, tracker, windows
from monitor.core.judge import judge
from monitor.core.model.changes import Changes, Result
from monitor.core.model.endpoint import InARow, LatencyRule
from monitor.core.model.rollback import Blocked, RollbackState
from monitor.core.model.verdict import Outcome, Verdict
from monitor.core.rollback import Circumstances, decide, deploys, verify
from monitor.core.version import read_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from monitor.core.model.check_state import CheckEvent, CheckState
    from monitor.core.model.deploy import DeployKind, DeployState
    from monitor.core.model.endpoint import Check, Endpoint
    from monitor.core.model.observation import Observation
    from monitor.core.model.rollback import Rollback
    from monitor.core.model.service import Directory, Service
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
    body_length: int = 0

    def fresh(self, now: datetime) -> bool:
        """Whether it is not older than two intervals."""
        return now - self.observation.at <= STALE_AFTER_INTERVALS * self.endpoint.every


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What the engine cannot see for itself but must know before anything is rolled back.

    `sees` is False once the witnesses failed. `hooks` is False where nothing is decided about
    rollbacks at all (`--no-hooks`). `warms_up` is False for one-shot runs: each is a new process,
    and its counts come from the store.
    """

    kill_switch: bool = False
    store_works: bool = True
    sees: bool = True
    hooks: bool = True
    warms_up: bool = True


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
        conditions: Callable[[], Conditions] = Conditions,
    ) -> None:
        self.situation = situation
        self.directory = directory
        self.endpoints: dict[str, Endpoint] = {}
        self.checks: dict[str, Check] = {}
        self.latest: dict[str, Latest] = {}
        self._windows: dict[str, windows.Window] = {}
        self._samples: dict[str, int] = {}
        self._mask = mask
        self._conditions = conditions
        self._watch(endpoints)

    def take(
        self, endpoint: Endpoint, observation: Observation, *, scheduled: bool, now: datetime
    ) -> Changes:
        """Judge one observation by each check of its endpoint, and draw all consequences."""
        verdicts = self._judge(endpoint, observation, scheduled)
        states, events = self._advance(endpoint, verdicts)
        version = self._version(endpoint, observation)
        result = _result(endpoint, observation, verdicts, scheduled, version)
        self._remember(endpoint, observation, verdicts, scheduled)

        seen = self._apply(Changes(states=states, results=(result,)))
        deployed = self._see_version(endpoint, version, now)
        told = self._tell(incidents.apply(events, self.checks, self.situation, now), now)
        acted = self._decide(self.directory.service(endpoint.service), now)

        return Changes.merge((seen, deployed, told, acted))

    def tick(self, now: datetime) -> Changes:
        """Decide what time alone decides: certification, guards that fall away, verification."""
        return Changes.merge(
            self._decide(service, now)
            for service in self.directory.services.values()
            if service.rollback is not None
        )

    def announce(
        self,
        service: str,
        *,
        version: str,
        kind: DeployKind,
        state: DeployState,
        now: datetime,
        id: str | None = None,
        commit: str | None = None,
    ) -> Changes:
        """Take a deploy marker; the same marker twice is one deploy."""
        known = self.directory.service(service)
        marked = self._apply(
            deploys.announce(
                known,
                version=version,
                kind=kind,
                state=state,
                at=now,
                id=id,
                commit=commit,
                situation=self.situation,
            )
        )

        return marked + self._decide(known, now)

    def absorb(self, changes: Changes, now: datetime) -> Changes:
        """Take over what carrying out a rollback changed, and tell people of its turns."""
        return self._turn(changes, now)

    def adopt(self, endpoints: Iterable[Endpoint], directory: Directory, now: datetime) -> Changes:
        """Take over a changed configuration: counts that still mean the same are kept.

        A check that is gone leaves its incident with a note; its state is forgotten.
        """
        self.directory = directory
        self._watch(endpoints)
        gone = tuple(check for check in self.situation.states if check not in self.checks)
        kept = tuple(
            state
            for known in self.situation.states_of(self.checks)
            if (state := tracker.adopt(self.checks[known.check], known)) != known
        )
        left = self._tell(incidents.remove_checks(gone, self.situation, now), now)

        return left + self._apply(Changes(states=kept, forgotten=gone))

    def restore_window(self, check: Check, samples: Iterable[tuple[datetime, timedelta]]) -> None:
        """Fill the open window of a latency check again from stored samples, oldest first."""
        assert isinstance(check.rule, LatencyRule)
        state = self.situation.states.get(check.id)
        end = state.window_end if state else None
        self._windows[check.id] = windows.restore(check.rule, samples, end)

    def settled(self, endpoint: Endpoint) -> bool:
        """Whether no check of an endpoint is on its way up or down, so that no retry is due."""
        return all(
            state is None or tracker.settled(check, state)
            for check in endpoint.checks
            if not isinstance(check.rule, LatencyRule)
            for state in (self.situation.states.get(check.id),)
        )

    def waiting(self, check: Check) -> tuple[int, int] | None:
        """How many samples the open window of a check has, and how many it needs."""
        window = self._windows.get(check.id)
        if window is None or not isinstance(check.rule, LatencyRule):
            return None

        return windows.window_progress(check.rule, window)

    def _watch(self, endpoints: Iterable[Endpoint]) -> None:
        before = self.checks
        self.endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        self.checks = {
            check.id: check for endpoint in self.endpoints.values() for check in endpoint.checks
        }
        self.latest = {
            name: latest for name, latest in self.latest.items() if name in self.endpoints
        }
        self._windows = {
            id: window
            for id, window in self._windows.items()
            if id in self.checks and self.checks[id].fingerprint == before[id].fingerprint
        }

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

    def _advance(
        self, endpoint: Endpoint, verdicts: Mapping[str, tuple[Verdict, ...]]
    ) -> tuple[tuple[CheckState, ...], tuple[CheckEvent, ...]]:
        """Count each verdict; give the states that came out, and what happened on the way."""
        states: list[CheckState] = []
        events: list[CheckEvent] = []
        for check in endpoint.checks:
            state = self.situation.states.get(check.id)
            for verdict in verdicts[check.id]:
                state, happened = tracker.advance(check, state, verdict, every=endpoint.every)
                events.extend(happened)
            if state is not None and verdicts[check.id]:
                states.append(state)
            if any(verdict.outcome in _JUDGED for verdict in verdicts[check.id]):
                self._samples[check.id] = self._samples.get(check.id, 0) + 1

        return tuple(states), tuple(events)

    def _remember(
        self,
        endpoint: Endpoint,
        observation: Observation,
        verdicts: Mapping[str, tuple[Verdict, ...]],
        scheduled: bool,
    ) -> None:
        before = self.latest.get(endpoint.name)
        newest = {id: judged[-1] for id, judged in verdicts.items() if judged}
        self.latest[endpoint.name] = Latest(
            endpoint=endpoint,
            observation=replace(observation, body=b""),
            verdicts={**(before.verdicts if before else {}), **newest},
            scheduled=scheduled,
            body_length=len(observation.body),
        )

    def _version(self, endpoint: Endpoint, observation: Observation) -> str | None:
        source = self.directory.service(endpoint.service).version
        if source is None or source.endpoint != endpoint.name:
            return None

        return read_version(source, observation)

    def _see_version(self, endpoint: Endpoint, version: str | None, now: datetime) -> Changes:
        if version is None:
            return Changes()

        service = self.directory.service(endpoint.service)

        return self._apply(deploys.see_version(service, version, situation=self.situation, now=now))

    def _tell(self, step: incidents.IncidentStep, now: datetime) -> Changes:
        """Apply what became of incidents, and queue a notice for each receiver."""
        happened = self._apply(step.changes)
        notices = alerting.plan(step, self.directory, self.situation, now)

        return happened + self._apply(Changes(deliveries=notices))

    def _decide(self, service: Service, now: datetime) -> Changes:
        """Certify, trip or verify; a service without a policy has nothing to decide."""
        if service.rollback is None:
            return Changes()

        certified = self._apply(deploys.certify(service, situation=self.situation, now=now))
        if not self._conditions().hooks:
            return certified

        tripped = self._turn(
            decide.decide(
                service,
                situation=self.situation,
                circumstances=self._circumstances(service),
                now=now,
            ),
            now,
        )
        verified = [
            self._turn(verify.verify(rollback, service, situation=self.situation, now=now), now)
            for rollback in self.situation.rollbacks_of(service.name)
            if rollback.state is RollbackState.VERIFYING
        ]

        return Changes.merge((certified, tripped, *verified))

    def _circumstances(self, service: Service) -> Circumstances:
        assert service.rollback is not None
        conditions = self._conditions()
        triggers = service.rollback.triggers

        return Circumstances(
            kill_switch=conditions.kill_switch,
            warming_up=conditions.warms_up and self._warming_up(triggers),
            blind=not conditions.sees
            or any(state.blind for state in self.situation.states_of(triggers)),
            store_ok=conditions.store_works,
        )

    def _warming_up(self, triggers: Sequence[str]) -> bool:
        """Whether an open trigger was judged less often since the start than it takes to open."""
        return any(
            self._samples.get(state.check, 0) < _samples_to_open(self.checks[state.check])
            for state in self.situation.states_of(triggers)
            if state.open and state.check in self.checks
        )

    def _turn(self, changes: Changes, now: datetime) -> Changes:
        """Apply what became of rollbacks, and tell of each that took a turn worth a notice."""
        before = {
            rollback.id: self.situation.rollbacks.get(rollback.id) for rollback in changes.rollbacks
        }
        self._apply(changes)
        newest = {rollback.id: rollback for rollback in changes.rollbacks}
        notices = tuple(
            delivery
            for rollback in newest.values()
            if _worth_telling(before[rollback.id], rollback)
            for delivery in alerting.tell_rollback(rollback, self.directory, self.situation, now)
        )

        return changes + self._apply(Changes(deliveries=notices))

    def _apply(self, changes: Changes) -> Changes:
        self.situation.apply(changes)

        return changes

    def _masked(self, verdict: Verdict) -> Verdict:
        """Mask secrets that a target echoed, before anything is stored or told."""
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


_JUDGED: Final = (Outcome.PASS, Outcome.FAIL)


def _samples_to_open(check: Check) -> int:
    threshold = check.failure_threshold

    return threshold.count if isinstance(threshold, InARow) else threshold.k


def _worth_telling(before: Rollback | None, after: Rollback) -> bool:
    """Whether people hear of it: not of what `observe` records, nor of the way to an end."""
    if after.state is RollbackState.VERIFYING or after.blocked is Blocked.MODE:
        return False

    return before is None or (before.state, before.blocked) != (after.state, after.blocked)


def _result(
    endpoint: Endpoint,
    observation: Observation,
    verdicts: Mapping[str, tuple[Verdict, ...]],
    scheduled: bool,
    version: str | None,
) -> Result:
    judged = {id: of_check[-1] for id, of_check in verdicts.items() if of_check}
    reasons = [reason for verdict in judged.values() for reason in verdict.reasons]
    fault = observation.fault

    return Result(
        endpoint=endpoint.name,
        at=observation.at,
        duration=observation.duration,
        scheduled=scheduled,
        outcomes=tuple((id, verdict.outcome) for id, verdict in judged.items()),
        code=fault.code if fault else (reasons[0].code if reasons else None),
        status=observation.status,
        latency=windows.latency_sample(observation, endpoint.timeout),
        version=version,
    )
