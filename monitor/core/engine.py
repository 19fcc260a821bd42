"""The pure engine: an observation, a marker or a tick comes in; Changes go out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from monitor.core import alerting, causes, clock_set, incidents, pings, pins, timeline, tracker
from monitor.core.conditions import Conditions
from monitor.core.freezing import frozen_since
from monitor.core.model.changes import Changes
from monitor.core.model.endpoint import RateRule
from monitor.core.model.rollback import RollbackState
from monitor.core.results import make_result
from monitor.core.rollback import circumstances, decide, deploys, verify
from monitor.core.sight import Sight
from monitor.core.version import read_version
from monitor.core.withholding import review, together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from monitor.core.model.check_state import CheckEvent, CheckState
    from monitor.core.model.deploy import DeployKind, DeployState
    from monitor.core.model.endpoint import Check, Endpoint, Sample
    from monitor.core.model.heartbeat import Heartbeat, Ping
    from monitor.core.model.incident import Incident, TimelineEntry
    from monitor.core.model.observation import Observation
    from monitor.core.model.rollback import Blocked, Rollback
    from monitor.core.model.service import Directory, Service
    from monitor.core.model.verdict import Verdict
    from monitor.core.rollback import Circumstances
    from monitor.core.sight import Latest
    from monitor.core.situation import Situation


__all__ = ["Conditions", "Engine"]


class Engine:
    """Everything that decides, over one `Situation`; each method applies what it returns.

    The daemon, the one-shot check and the replay drive this same object. It reads no clock: `now`
    is an argument. What it returns is what has to become durable before anybody is told; should
    one call break half-way, the next returns what that one had applied.
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
        self._sight = Sight(mask)
        self._applied: list[Changes] = []
        self._looks_since: datetime | None = None
        self._mask = mask
        self._conditions = conditions
        self._watch(endpoints)

    def take(
        self, endpoint: Endpoint, observation: Observation, *, scheduled: bool, now: datetime
    ) -> Changes:
        """Judge one observation by each check of its endpoint, and draw all consequences."""
        verdicts = self._sight.take(
            endpoint,
            observation,
            scheduled=scheduled,
            pins=self.situation.pins,
            frozen=self._frozen_since,
        )
        states, events = self._advance(endpoint, verdicts)
        service = self.directory.service(endpoint.service)
        version = _version(service, endpoint, observation)
        result = make_result(endpoint, observation, verdicts, scheduled=scheduled, version=version)

        self._apply(Changes(states=states, results=(result,)))
        if (pinned := self._pinned.get(endpoint.name)) is not None:
            self._apply(pins.keep(pinned, observation, self.situation, self._mask))
        self._verify(service, now)
        step = self._file(states, events, now)
        turned: tuple[Rollback, ...] = ()
        try:
            self._see_version(service, version, now)
            turned = self._decide(service, now)
        finally:
            self._notify(step, now, turned)

        return self._collect()

    def tick(self, now: datetime) -> Changes:
        """Decide what time alone decides: certification, guards, verification, escalation.

        Of a service that rolls nothing back, and never did, there is nothing to decide.
        """
        services = self.directory.services.values()
        able = (service.name for service in services if service.policies)
        for name in dict.fromkeys((*able, *self.situation.rolled_back())):
            service = self.directory.service(name)
            self._verify(service, now)
            self._notify(incidents.NO_STEP, now, self._decide(service, now))
        self._tell(review(self.directory, self.situation, now), now)
        since = self._looks_since
        self._apply(alerting.attend(self.directory, self.situation, now, looks_since=since))
        if not self.oneshot:  # a daemon, on which pings are heard
            self._apply(pings.attend(self.situation, now))

        return self._collect()

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
        self._apply(
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
        self._notify(incidents.NO_STEP, now, self._decide(known, now))

        return self._collect()

    def accept_headers(self, check: Check, now: datetime) -> Changes:
        """Take the headers that a check saw last for those that it accepts."""
        pin = pins.known_pin(check, self.situation.pins)
        if pin is not None and pin.seen is not None:
            self._apply(Changes(pins=(pins.accept(pin, now),)))

        return self._collect()

    def absorb(self, changes: Changes, now: datetime) -> Changes:
        """Take over what carrying out a rollback changed, and tell people of its turns."""
        self._notify(incidents.NO_STEP, now, self._turn(changes, now))

        return self._collect()

    def act(self, step: incidents.IncidentStep, now: datetime) -> Changes:
        """Take over what a person did, and tell of it."""
        self._tell(step, now)

        return self._collect()

    def recall(self, incident: Incident, told: tuple[TimelineEntry, ...]) -> Incident:
        """Have an incident in memory again that was too old for it; one that is there stays."""
        if incident.id not in self.situation.incidents:
            self.situation.apply(Changes(incidents=(incident,), timeline=told))

        return self.situation.incidents.get(incident.id, incident)

    def hear(self, heartbeat: Heartbeat, ping: Ping) -> Changes:
        """Take a ping; what comes of it is seen when the heartbeat is looked at next."""
        self._apply(Changes(heartbeats=(pings.take(heartbeat, ping),)))

        return self._collect()

    def still_allowed(self, rollback: Rollback, now: datetime) -> Blocked | None:
        """Ask all guards again for a rollback that was decided, just before one of its effects."""
        service = self.directory.service(rollback.service)
        policy = service.policy(rollback.kind)
        triggers = policy.triggers if policy else ()

        return decide.still_allowed(
            rollback,
            service,
            situation=self.situation,
            circumstances=self._circumstances(service.name, triggers, now),
            now=now,
        )

    def store_failed(self, error: str, now: datetime) -> Changes:
        """Tell people, once, that nothing can be remembered; they are told from memory."""
        self._tell(incidents.store_failed(self._mask(error), self.situation, now), now)

        return self._collect()

    def store_works_again(self, now: datetime) -> Changes:
        """Tell that it is over, if it was told."""
        self._tell(incidents.store_works_again(self.situation, now), now)

        return self._collect()

    def adopt(self, endpoints: Iterable[Endpoint], directory: Directory, now: datetime) -> Changes:
        """Take over a changed configuration: counts that still mean the same are kept.

        A check that is gone leaves its incident with a note; its state is forgotten. At the start
        this also ends what an earlier process had to say about the store, and tells what one that
        was to tell nobody left untold.
        """
        self.directory = directory
        self._looks_since = self._looks_since or now
        before = self.checks
        self._watch(endpoints)
        gone = tuple(check for check in self.situation.states if check not in self.checks)
        kept = tuple(
            state
            for known in self.situation.states_of(self.checks)
            if (state := tracker.adopt(self.checks[known.check], known, now)) != known
        )
        anew = tuple(
            begun
            for id, check in self.checks.items()
            if id not in self.situation.states
            if (begun := tracker.begin_anew(check, before.get(id), now)) is not None
        )
        self._tell(incidents.adopt(self.checks, self.situation, now), now)
        self._apply(Changes(states=(*kept, *anew), forgotten=gone))
        self._apply(pings.adopt(endpoints, self.situation, now))
        if self._conditions().store_works:
            self._tell(incidents.store_works_again(self.situation, now), now)
        self._tell(review(directory, self.situation, now), now)
        self._apply(alerting.tell_missed(directory, self.situation, now))

        return self._collect()

    def set_clock(self, by: timedelta, now: datetime) -> Changes:
        """Go on by a clock that was set by so much and shows `now`; nothing is decided thereby."""
        self._sight.set_clock(by)
        self._looks_since = self._looks_since and self._looks_since + by
        self._apply(clock_set.move(self.situation, by, now))
        self._apply(pings.interrupt(self.situation, now, abs(by)))

        return self._collect()

    def note_absence(self, until: datetime) -> Changes:
        """Take note that this process stood still until now: nobody saw that all was well."""
        self._sight.note_absence(until)
        self._looks_since = until
        self._apply(deploys.watch_anew(self.situation))
        self._apply(pings.interrupt(self.situation, until))

        return self._collect()

    @property
    def mask(self) -> Callable[[str], str]:
        """Hides secrets in what people write, as in what is seen."""
        return self._mask

    @property
    def latest(self) -> Mapping[str, Latest]:
        """The newest probe of each endpoint that was probed since the start."""
        return self._sight.latest

    @property
    def oneshot(self) -> bool:
        """Whether this is a run that ends by itself."""
        return self._conditions().oneshot

    def restore_window(
        self, check: Check, samples: Iterable[tuple[datetime, Sample]], now: datetime
    ) -> None:
        """Fill the open window of a check again from stored samples, unless it meant another."""
        self._sight.restore_window(check, samples, self.situation.states.get(check.id), now)

    def restore_share(self, check: Check, seen: Iterable[tuple[datetime, bool]]) -> None:
        """Fill the sliding time of a failure rate from stored verdicts, if they mean the same."""
        assert isinstance(check.rule, RateRule)
        self._sight.restore_share(check, self.checks[check.rule.of], seen, self.situation.states)

    def settled(self, endpoint: Endpoint) -> bool:
        """Whether no check of an endpoint is on its way up or down, so that no retry is due."""
        return tracker.all_settled(endpoint.checks, self.situation.states)

    def waiting(self, check: Check) -> tuple[int, int] | None:
        """How many samples the open window of a check has, and how many it needs."""
        return self._sight.waiting(check)

    def _watch(self, endpoints: Iterable[Endpoint]) -> None:
        before = self.checks
        self.endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        self.checks = {
            check.id: check for endpoint in self.endpoints.values() for check in endpoint.checks
        }
        pinned = ((name, pins.drift_check(one)) for name, one in self.endpoints.items())
        self._pinned = {name: check for name, check in pinned if check is not None}
        self._services = len({endpoint.service for endpoint in self.endpoints.values()})
        same = {
            id
            for id, check in self.checks.items()
            if id in before and before[id].fingerprint == check.fingerprint
        }
        self._sight.keep(self.endpoints, same)

    def _frozen_since(self, check: Check, at: datetime) -> datetime | None:
        return frozen_since(check, self.situation, at)

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

        return tuple(states), tuple(events)

    def _file(
        self, states: Sequence[CheckState], events: tuple[CheckEvent, ...], now: datetime
    ) -> incidents.IncidentStep:
        """Let what happened to checks become of incidents; give what is to be told of them."""
        events += incidents.find_unfiled(states, events, self.situation)
        events += causes.find_changed(states, events, self.situation, now)
        if not events:
            return incidents.NO_STEP

        checks = {
            event.check: replace(check, target=self._mask(check.target))
            for event in events
            if (check := self.checks.get(event.check)) is not None
        }
        step = incidents.apply(events, checks, self.situation, now)
        self._apply(step.changes)

        return step

    def _tell(self, step: incidents.IncidentStep, now: datetime) -> None:
        """Apply what became of incidents, and queue a notice for each receiver."""
        self._apply(step.changes)
        self._notify(step, now)

    def _notify(
        self, step: incidents.IncidentStep, now: datetime, turned: Sequence[Rollback] = ()
    ) -> None:
        """Queue what became of incidents and of rollbacks, one notice for one moment of one.

        What is withheld is decided first.
        """
        if step.changes.incidents:
            reviewed = review(self.directory, self.situation, now, after=step)
            self._apply(reviewed.changes)
            step = together(step, reviewed, self.situation)
        if not step.news and not turned:
            return

        self._apply(alerting.plan(step, self.directory, self.situation, now, turned=turned))

    def _see_version(self, service: Service, version: str | None, now: datetime) -> None:
        if version is not None:
            self._apply(deploys.see_version(service, version, situation=self.situation, now=now))

    def _verify(self, service: Service, now: datetime) -> None:
        """See whether a rollback has helped: before its incident ends, so that the end can say."""
        for rollback in self.situation.rollbacks_of(service.name):
            if rollback.state is RollbackState.VERIFYING and self._conditions().hooks:
                proof = verify.verify(rollback, service, situation=self.situation, now=now)
                self._notify(incidents.NO_STEP, now, self._turn(proof, now))

    def _decide(self, service: Service, now: datetime) -> tuple[Rollback, ...]:
        """Certify or trip; give what turned of rollbacks.

        Without a policy only what has tripped before it was gone is ended.
        """
        self._apply(deploys.certify(service, situation=self.situation, now=now))
        if decide.is_quiet(service, self.situation) or not self._conditions().hooks:
            return ()

        turned: tuple[Rollback, ...] = ()
        for policy in service.policies:
            decision = decide.decide(
                service,
                policy,
                situation=self.situation,
                circumstances=self._circumstances(service.name, policy.triggers, now),
                now=now,
            )
            turned += self._turn(decision, now)

        return turned + self._turn(decide.end_without_policy(service, self.situation, now), now)

    def _circumstances(self, service: str, triggers: Sequence[str], now: datetime) -> Circumstances:
        return circumstances.gather(
            service,
            triggers,
            now=now,
            conditions=self._conditions(),
            directory=self.directory,
            situation=self.situation,
            checks=self.checks,
            judged=self._sight.judged,
            services=self._services,
        )

    def _turn(self, changes: Changes, now: datetime) -> tuple[Rollback, ...]:
        """Apply what became of rollbacks; write each turn into its incident, and give them."""
        if not changes:
            return ()

        known, journal = self.situation.rollbacks, dict(self.situation.steps)
        rollbacks = {one.id: (known.get(one.id), one) for one in changes.rollbacks}
        self._apply(changes)
        for step in changes.steps:  # a failed attempt and the intent of the next come together
            earlier = journal.get(step.key)
            self._apply(timeline.follow_step(earlier, step, self.situation, now))
            journal[step.key] = step
        turned = [pair for pair in rollbacks.values() if timeline.turned(*pair)]
        for before, after in turned:
            self._apply(timeline.follow_rollback(before, after, self.situation, now))

        return tuple(after for _, after in turned)

    def _apply(self, changes: Changes) -> None:
        if changes:
            self.situation.apply(changes)
            self._applied.append(changes)

    def _collect(self) -> Changes:
        """Give all that was applied since the last time; so memory is never ahead for good."""
        applied, self._applied = self._applied, []

        return Changes.merge(applied)


def _version(service: Service, endpoint: Endpoint, observation: Observation) -> str | None:
    source = service.version
    if source is None or source.endpoint != endpoint.name:
        return None

    return read_version(source, observation)
