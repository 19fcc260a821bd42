"""What is known now, as records and as JSON: for the command line, the API and the status page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from monitor.core import outbox, wording
from monitor.core.model.endpoint import WindowRule
from monitor.core.model.notice import DeliveryState
from monitor.core.model.verdict import Outcome, Reason, Verdict
from monitor.core.report_incidents import (
    flapping_json,
    incident_json,
    reason_json,
    silence_json,
)
from monitor.core.report_maintenance import maintenance_json
from monitor.core.sight import STALE_AFTER_INTERVALS
from monitor.core.windows import end_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from monitor.core.engine import Engine
    from monitor.core.model.check_state import CheckState, Flapping
    from monitor.core.model.deploy import Deploy
    from monitor.core.model.endpoint import Check, Endpoint
    from monitor.core.model.observation import Observation
    from monitor.core.model.rollback import Rollback
    from monitor.core.situation import Situation

RECENT_INCIDENTS: Final = 20
RECENT_ROLLBACKS: Final = 20
"""How many of each service are shown, blocked trips among them."""

STALE: Final = "the last result is older than two intervals"
_NEWS: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """One check as it stands.

    `verdict` is the newest judgement, `state` is what the thresholds make of it. `waiting` is
    how many samples an open window has, and how many it needs; `judged_at` is when it ends.
    `observation` is None before the
    first probe since the start.
    """

    check: Check
    endpoint: Endpoint
    verdict: Outcome
    state: Outcome
    consecutive_failures: int
    reasons: tuple[Reason, ...]
    observation: Observation | None
    waiting: tuple[int, int] | None = None
    judged_at: datetime | None = None
    note: str = ""
    flapping: Flapping | None = None


def report_checks(
    engine: Engine, endpoints: Iterable[Endpoint], now: datetime
) -> tuple[CheckReport, ...]:
    """Report each check of these endpoints, in the order of the configuration.

    A judgement older than two intervals is unknown, save in a one-shot run, whose rounds keep
    their own time. A check that was never judged is waiting.
    """
    ages = not engine.oneshot

    return tuple(
        _report(engine, endpoint, check, now, ages=ages)
        for endpoint in endpoints
        for check in endpoint.checks
    )


def overall(reports: Iterable[CheckReport]) -> Outcome:
    """Give the verdict over all: fail before unknown before pass; waiting decides nothing."""
    verdicts = {report.verdict for report in reports}
    for verdict in (Outcome.FAIL, Outcome.UNKNOWN):
        if verdict in verdicts:
            return verdict

    return Outcome.PASS


def check_json(report: CheckReport) -> dict[str, Any]:
    """Write a check as `--output json` and the API show it; durations in seconds."""
    seen = report.observation

    return {
        "check": report.check.id,
        "endpoint": report.endpoint.name,
        "service": report.check.service,
        "severity": report.check.severity.value,
        "target": report.endpoint.target,
        "verdict": report.verdict.value,
        "state": report.state.value,
        "consecutive_failures": report.consecutive_failures,
        "reasons": [reason_json(reason) for reason in report.reasons],
        "duration_seconds": seen.duration.total_seconds() if seen else None,
        "phases": phases_json(seen) if seen else {},
        **({"note": report.note} if report.note else {}),
        **({"flapping": flapping_json(report.flapping)} if report.flapping else {}),
        **_waiting_json(report),
    }


def _waiting_json(report: CheckReport) -> dict[str, Any]:
    """Write what an open window waits for: samples, and its end where it has one."""
    if report.waiting is None or report.verdict is not Outcome.WAITING:
        return {}

    samples, needed = report.waiting
    waiting: dict[str, Any] = {"samples": samples, "needed": needed}
    if report.judged_at is not None:
        waiting["ends_at"] = report.judged_at.isoformat()

    return {"waiting": waiting}


def phases_json(observation: Observation) -> dict[str, float]:
    """Write the phases that took place, in seconds."""
    return {phase.value: duration.total_seconds() for phase, duration in observation.phases.items()}


def status_json(engine: Engine, now: datetime) -> dict[str, Any]:
    """Write what is failing now, the incidents, the rollbacks and the deploys."""
    situation = engine.situation
    reports = report_checks(engine, engine.endpoints.values(), now)
    newest_first = sorted(
        situation.incidents.values(), key=lambda incident: incident.opened_at, reverse=True
    )
    shown = [incident for incident in newest_first if incident.open]
    shown += [incident for incident in newest_first if not incident.open][:RECENT_INCIDENTS]
    services = sorted({check.service for check in engine.checks.values()})

    return {
        "verdict": overall(reports).value,
        "at": now.isoformat(),
        "environment": engine.directory.environment,
        "location": engine.directory.location,
        "checks": [check_json(report) for report in reports],
        "incidents": [
            incident_json(incident, situation.timelines.get(incident.id, ())) for incident in shown
        ],
        "maintenance": [maintenance_json(one, now) for one in engine.directory.maintenance],
        "silences": [
            silence_json(silence)
            for silence in sorted(situation.silences.values(), key=lambda one: one.ends_at)
            if silence.ends_at > now
        ],
        "rollbacks": [
            rollback_json(rollback, situation)
            for service in services
            for rollback in situation.rollbacks_of(service)[-RECENT_ROLLBACKS:]
        ],
        "deploys": [
            {**deploy_json(deploy), "rolled_back_at": _iso(_rolled_back_at(deploy, situation))}
            for service in services
            if (deploy := situation.current_deploy(service))
        ],
        "undelivered": sum(delivery.pending for delivery in situation.deliveries.values()),
        "given_up": sum(
            delivery.state is DeliveryState.DEAD and delivery.queued_at >= now - _NEWS
            for delivery in situation.deliveries.values()
        ),
        "notifiers": [
            _backlog_json(one)
            for one in outbox.list_backlogs(engine.directory.notifiers, situation)
        ],
    }


def _backlog_json(backlog: outbox.Backlog) -> dict[str, Any]:
    return {
        "notifier": backlog.notifier,
        "undelivered": backlog.undelivered,
        "oldest_undelivered_at": _iso(backlog.oldest),
        "dead_letters": backlog.dead,
    }


def deploy_json(deploy: Deploy) -> dict[str, Any]:
    """Write a deploy."""
    return {
        "id": deploy.id,
        "service": deploy.service,
        "version": deploy.version,
        "commit": deploy.commit,
        "kind": deploy.kind.value,
        "state": deploy.state.value,
        "at": deploy.at.isoformat(),
        "finished_at": _iso(deploy.finished_at),
        "certified_at": _iso(deploy.certified_at),
        "healthy_before": deploy.healthy_before,
    }


def rollback_json(rollback: Rollback, situation: Situation) -> dict[str, Any]:
    """Write a rollback, or a trip that was blocked, with the journal of its steps."""
    return {
        "id": rollback.id,
        "kind": rollback.kind.value,
        "service": rollback.service,
        "deploy": rollback.deploy_id,
        "incident": rollback.incident,
        "state": rollback.state.value,
        "blocked": rollback.blocked.value if rollback.blocked else None,
        "mode": rollback.mode.value,
        "from": rollback.from_version,
        "to": rollback.to_version,
        "reason": rollback.reason,
        "detail": rollback.detail,
        "why": wording.rollback_reason(rollback),
        "level": rollback.level,
        "due_at": _iso(rollback.due_at),
        "started_by": rollback.started_by,
        "approved_by": rollback.approved_by,
        "vetoed_by": rollback.vetoed_by,
        "tripped_at": rollback.tripped_at.isoformat(),
        "started_at": _iso(rollback.started_at),
        "effect_done_at": _iso(rollback.effect_done_at),
        "ended_at": _iso(rollback.ended_at),
        "steps": [
            {
                "key": step.key,
                "name": step.name,
                "kind": step.kind,
                "state": step.state.value,
                "attempt": step.attempt,
                "at": step.at.isoformat(),
                "detail": step.detail,
                "output": step.output,
            }
            for step in situation.steps_of(rollback.id)
        ],
    }


def _rolled_back_at(deploy: Deploy, situation: Situation) -> datetime | None:
    """Say when the steps against a deploy were done: what runs since may not be known."""
    done = (
        one.effect_done_at
        for one in situation.rollbacks_of(deploy.service)
        if one.deploy_id == deploy.id and one.effect_done_at is not None
    )

    return max(done, default=None)


def _report(
    engine: Engine, endpoint: Endpoint, check: Check, now: datetime, *, ages: bool
) -> CheckReport:
    state = engine.situation.states.get(check.id)
    latest = engine.latest.get(endpoint.name)
    verdict = latest.verdicts.get(check.id) if latest else _remembered(state, check)
    fresh = latest.fresh(now) if latest else _recent(state, endpoint, now)
    outcome = verdict.outcome if verdict else Outcome.WAITING
    reasons = verdict.reasons if verdict else ()
    note = verdict.note if verdict else "" if latest else "not probed yet"
    if latest and verdict and verdict.outcome is Outcome.PASS:
        note = note or latest.observation.summary
    if (verdict or latest) and not fresh and (ages or latest is None):
        outcome, reasons, note = Outcome.UNKNOWN, (), STALE

    return CheckReport(
        check=check,
        endpoint=endpoint,
        verdict=outcome,
        state=_public_state(state),
        consecutive_failures=state.consecutive_failures if state else 0,
        reasons=reasons,
        observation=latest.observation if latest else None,
        waiting=engine.waiting(check),
        judged_at=end_of(check.rule, now) if isinstance(check.rule, WindowRule) else None,
        note=_with_flapping(note, state.flapping if state else None),
        flapping=state.flapping if state else None,
    )


def _remembered(state: CheckState | None, check: Check) -> Verdict | None:
    """Give the newest verdict of an earlier process, if the check still means the same."""
    if state is None or state.last_outcome is None or state.fingerprint != check.fingerprint:
        return None

    assert state.last_at is not None

    return Verdict(outcome=state.last_outcome, at=state.last_at, reasons=state.last_reasons)


def _recent(state: CheckState | None, endpoint: Endpoint, now: datetime) -> bool:
    """Whether what an earlier process saw is not older than two intervals."""
    if state is None or state.last_at is None:
        return False

    return now - state.last_at <= STALE_AFTER_INTERVALS * endpoint.every + endpoint.timeout


def _with_flapping(note: str, flapping: Flapping | None) -> str:
    if flapping is None:
        return note

    return "; ".join(one for one in (note, wording.flapping(flapping)) if one)


def _public_state(state: CheckState | None) -> Outcome:
    return state.state if state else Outcome.UNKNOWN


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
