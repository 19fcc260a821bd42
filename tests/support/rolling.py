"""A small world in which services are deployed, fail and are rolled back, without any clock."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from monitor.core.model.changes import Changes
from monitor.core.model.check_state import CheckState
from monitor.core.model.deploy import Deploy, DeployKind, DeployState
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import Incident, IncidentClass, IncidentPhase, Member
from monitor.core.model.observation import Code
from monitor.core.model.rollback import Mode, Rollback, RollbackState
from monitor.core.model.service import (
    Directory,
    LevelPlan,
    Proof,
    RollbackPolicy,
    Service,
    StepPlan,
)
from monitor.core.model.verdict import Outcome, Reason
from monitor.core.rollback import Circumstances, decide, deploys, verify
from monitor.core.situation import Situation

if TYPE_CHECKING:
    from monitor.core.model.rollback import Blocked

NOON: Final = datetime(2026, 1, 5, 12, tzinfo=UTC)
CHECK: Final = "api.health"
OTHER: Final = "homepage.health"


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def make_policy(
    mode: Mode = Mode.AUTOMATIC,
    *,
    steps: tuple[StepPlan, ...] = (StepPlan(number=1, kind="command"),),
    triggers: tuple[str, ...] = (CHECK,),
    at_least: int = 1,
    proofs: tuple[Proof, ...] = (),
    **more: Any,
) -> RollbackPolicy:
    plain = RollbackPolicy(
        mode=mode,
        triggers=triggers,
        levels=(LevelPlan(steps=steps),) if steps else (),
        modes=MappingProxyType({}),
        at_least=at_least,
        proofs=proofs,
    )

    return replace(plain, **more)


def make_state(check: str = CHECK, outcome: Outcome = Outcome.PASS, **facts: object) -> CheckState:
    state = CheckState(
        check=check,
        fingerprint="f",
        state=outcome,
        judged=9,
        last_outcome=outcome,
        last_at=NOON,
    )

    return replace(state, **facts)  # type: ignore[arg-type]  # the tests name fields only


def make_deploy(version: str = "v2", **facts: object) -> Deploy:
    deploy = Deploy(
        id=f"{version}@noon",
        service="shop",
        version=version,
        kind=DeployKind.PLANNED,
        state=DeployState.FINISHED,
        at=NOON,
        finished_at=NOON,
        healthy_before=True,
        announced=True,
    )

    return replace(deploy, **facts)  # type: ignore[arg-type]  # the tests name fields only


def make_rollback(id: str = "earlier", **facts: object) -> Rollback:
    rollback = Rollback(
        id=id,
        service="shop",
        deploy_id="v1@morning",
        incident="earlier-incident",
        state=RollbackState.RECOVERED,
        mode=Mode.AUTOMATIC,
        severity=Severity.HIGH,
        reason="",
        triggers=(CHECK,),
        tripped_at=NOON - timedelta(hours=2),
        verify_within=minutes(5),
        started_at=NOON - timedelta(hours=2),
        ended_at=NOON - timedelta(hours=2),
    )

    return replace(rollback, **facts)  # type: ignore[arg-type]  # the tests name fields only


def make_incident(
    service: str = "shop",
    *,
    check: str = CHECK,
    at: datetime = NOON,
    severity: Severity = Severity.HIGH,
    closed_at: datetime | None = None,
) -> Incident:
    reason = Reason(code=Code.STATUS, message="status is 500, expected 2xx")

    return Incident(
        id=f"{service}-outage-{at:%H%M%S}",
        service=service,
        klass=IncidentClass.OUTAGE,
        severity=severity,
        phase=IncidentPhase.INVESTIGATING,
        since=at,
        opened_at=at,
        members=(
            Member(
                check=check,
                severity=severity,
                since=at,
                failures=3,
                reasons=(reason,),
                closed_at=closed_at,
            ),
        ),
        resolved_at=closed_at,
    )


@dataclass
class World:
    """One service called shop, what is known of it, and the time."""

    policy: RollbackPolicy | None = field(default_factory=make_policy)
    now: datetime = NOON
    circumstances: Circumstances = field(default_factory=lambda: Circumstances(services=1))
    situation: Situation = field(default_factory=Situation)
    remedy: RollbackPolicy | None = None

    @property
    def service(self) -> Service:
        return Service(name="shop", rollback=self.policy, remedy=self.remedy)

    @property
    def directory(self) -> Directory:
        return Directory(services={"shop": self.service}, environment="production")

    def keep(self, changes: Changes) -> Changes:
        self.situation.apply(changes)

        return changes

    def know(self, *records: CheckState | Deploy | Rollback | Incident) -> World:
        self.keep(
            Changes(
                states=tuple(one for one in records if isinstance(one, CheckState)),
                deploys=tuple(one for one in records if isinstance(one, Deploy)),
                rollbacks=tuple(one for one in records if isinstance(one, Rollback)),
                incidents=tuple(one for one in records if isinstance(one, Incident)),
            )
        )

        return self

    def passes(self, check: str = CHECK) -> None:
        self.know(make_state(check, last_at=self.now))

    def fails(self, check: str = CHECK, *, since: datetime | None = None) -> None:
        """Let a check be open; its incident opens with it."""
        failing = make_state(
            check,
            Outcome.FAIL,
            consecutive_failures=3,
            failing_since=since or self.now,
            last_at=self.now,
            last_reasons=(Reason(code=Code.STATUS, message="status is 500, expected 2xx"),),
        )
        self.know(failing)
        if self.situation.open_incident("shop", IncidentClass.OUTAGE) is None:
            self.know(make_incident(check=check, at=self.now))

    def recovers(self, check: str = CHECK) -> None:
        """Let a check close, and its incident with it."""
        self.passes(check)
        incident = self.situation.open_incident("shop", IncidentClass.OUTAGE)
        if incident is not None:
            self.know(replace(incident, resolved_at=self.now))

    def later(self, count: float) -> World:
        self.now += minutes(count)

        return self

    def deploy(self, version: str = "v2", state: DeployState = DeployState.FINISHED) -> Deploy:
        """Announce a deploy, with the checks as they are."""
        self.announce(version, state)
        deploy = self.situation.current_deploy("shop")
        assert deploy is not None

        return deploy

    def announce(
        self,
        version: str = "v2",
        state: DeployState = DeployState.FINISHED,
        *,
        kind: DeployKind = DeployKind.PLANNED,
        id: str | None = None,
    ) -> Changes:
        return self.keep(
            deploys.announce(
                self.service,
                version=version,
                kind=kind,
                state=state,
                at=self.now,
                id=id,
                commit=None,
                situation=self.situation,
            )
        )

    def see(self, version: str) -> Changes:
        return self.keep(
            deploys.see_version(self.service, version, situation=self.situation, now=self.now)
        )

    def certify(self) -> Changes:
        return self.keep(deploys.certify(self.service, situation=self.situation, now=self.now))

    def decide(self) -> Changes:
        """Decide as the engine does: what is decided first counts for what follows."""
        decided = [
            self.keep(
                decide.decide(
                    self.service,
                    policy,
                    situation=self.situation,
                    circumstances=self.circumstances,
                    now=self.now,
                )
            )
            for policy in self.service.policies
        ]
        gone = decide.end_without_policy(self.service, self.situation, self.now)

        return Changes.merge([*decided, self.keep(gone)])

    def verify(self) -> Changes:
        """Verify every rollback that is being verified."""
        return Changes.merge(
            self.keep(verify.verify(one, self.service, situation=self.situation, now=self.now))
            for one in self.situation.rollbacks_of("shop")
        )

    def allowed(self, rollback: Rollback) -> Blocked | None:
        return decide.still_allowed(
            rollback,
            self.service,
            situation=self.situation,
            circumstances=self.circumstances,
            now=self.now,
        )

    @property
    def newest(self) -> Rollback:
        """The rollback or blocked trip that was changed last."""
        return list(self.situation.rollbacks.values())[-1]
