"""The proof of recovery: samples after the effect only, and what is not known proves nothing."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from monitor.core.model.changes import Changes
from monitor.core.model.rollback import RollbackState
from monitor.core.model.service import Proof
from monitor.core.model.verdict import Outcome
from monitor.core.rollback.effects import next_level

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from monitor.core.model.check_state import CheckState
    from monitor.core.model.rollback import Rollback
    from monitor.core.model.service import Service
    from monitor.core.situation import Situation


class _Shown(StrEnum):
    """What the samples after the effect say of one check."""

    RECOVERED = "recovered"
    FAILING = "failing"
    OPEN = "open"


def verify(rollback: Rollback, service: Service, *, situation: Situation, now: datetime) -> Changes:
    """Say whether a rollback helped, once that is known or its time is over.

    A check that was open closes by passes after the effect alone: they are counted anew from
    there, and the passes of samples that were under way by then are taken back here.
    """
    if rollback.state is not RollbackState.VERIFYING or rollback.effect_done_at is None:
        return Changes()

    since = rollback.effect_done_at
    if has_recovered(rollback, service, situation):
        return recover(rollback, now)

    proofs = _proofs(rollback, service)
    shown = _show_all(proofs, situation, since)
    worse = _regressed(rollback, service, situation, since)

    late = [
        one.check
        for one in proofs
        if shown[one.check] is not _Shown.RECOVERED and now - since >= one.within
    ]
    if not late and now - since < rollback.verify_within:
        return Changes(states=_discounted(proofs, situation, since))

    failing = [*(check for check in late if shown[check] is _Shown.FAILING), *worse]
    if failing:
        detail = f"still failing after the {rollback.kind}: {', '.join(failing)}"
        policy = service.policy(rollback.kind)
        if policy is not None and (following := next_level(rollback, policy, detail)):
            return Changes(rollbacks=(following,))
        return _end(rollback, RollbackState.NOT_RECOVERED, detail, now)

    detail = f"too few samples since the {rollback.kind}: {', '.join(late)}"

    return _end(rollback, RollbackState.INCONCLUSIVE, detail, now)


def has_recovered(rollback: Rollback, service: Service, situation: Situation) -> bool:
    """Whether all that proves a recovery has been shown after the effect."""
    since = rollback.effect_done_at
    if since is None or _regressed(rollback, service, situation, since):
        return False

    shown = _show_all(_proofs(rollback, service), situation, since)

    return all(what is _Shown.RECOVERED for what in shown.values())


def recover(rollback: Rollback, now: datetime) -> Changes:
    """Write that it helped."""
    return _end(rollback, RollbackState.RECOVERED, "", now)


def _show_all(proofs: Iterable[Proof], situation: Situation, since: datetime) -> dict[str, _Shown]:
    return {one.check: _show(situation.states.get(one.check), since, one) for one in proofs}


def _proofs(rollback: Rollback, service: Service) -> list[Proof]:
    """Give what has to be shown: by the checks that tripped, and what the policy asks besides."""
    within = rollback.verify_within
    proofs = {check: Proof(check=check, passes=0, within=within) for check in rollback.triggers}
    policy = service.policy(rollback.kind)
    asked = policy.proofs if policy else ()

    return [
        replace(one, within=min(one.within, within))
        for one in (proofs | {one.check: one for one in asked}).values()
    ]


def _show(state: CheckState | None, since: datetime, proof: Proof) -> _Shown:
    if state is None or state.last_at is None or state.last_at <= since or state.blind:
        return _Shown.OPEN
    if state.last_outcome is Outcome.FAIL:
        return _Shown.FAILING
    passing = state.state is Outcome.PASS and state.last_outcome is Outcome.PASS
    if passing and state.consecutive_passes >= proof.passes:
        return _Shown.RECOVERED

    return _Shown.OPEN


def _regressed(
    rollback: Rollback, service: Service, situation: Situation, since: datetime
) -> list[str]:
    """Give the triggers that were fine when it tripped, and are open now."""
    policy = service.policy(rollback.kind)
    others = [
        check for check in (policy.triggers if policy else ()) if check not in rollback.triggers
    ]

    return [
        state.check
        for state in situation.states_of(others)
        if state.open and state.last_outcome is Outcome.FAIL and (state.last_at or since) > since
    ]


def _discounted(
    proofs: Iterable[Proof], situation: Situation, since: datetime
) -> tuple[CheckState, ...]:
    """Take back passes of samples that began before the effect was complete."""
    return tuple(
        replace(state, consecutive_passes=0)
        for state in situation.states_of(proof.check for proof in proofs)
        if state.consecutive_passes and state.last_at is not None and state.last_at <= since
    )


def _end(rollback: Rollback, state: RollbackState, detail: str, now: datetime) -> Changes:
    return Changes(rollbacks=(replace(rollback, state=state, ended_at=now, detail=detail),))
