"""Which deploys and rollbacks of a service are old, and decide nothing any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from monitor.core.model.rollback import RollbackKind, RollbackState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from monitor.core.model.deploy import Deploy
    from monitor.core.model.rollback import Rollback

_KEPT_DEPLOYS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Old:
    """What may be forgotten, by its ids."""

    deploys: tuple[str, ...]
    rollbacks: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.deploys) + len(self.rollbacks)


def find_old(
    deploys: Sequence[Deploy],
    rollbacks: Sequence[Rollback],
    *,
    deciding: Sequence[Deploy | None],
    before: datetime,
) -> Old:
    """Find what no guard asks for any more among all deploys and rollbacks of one service.

    There stay the newest deploys, those in `deciding` (the current and the last known good one),
    the newest rollback, the newest remedy that nobody started by hand (it was tried once in its
    incident, which may last), the newest that latches (a blocked trip may have followed it), those
    that have not ended, and what deploys and rollbacks that stay refer to.
    """
    newest = sorted(deploys, key=lambda deploy: deploy.at, reverse=True)[:_KEPT_DEPLOYS]
    needed = {deploy.id for deploy in (*newest, *deciding) if deploy is not None}
    needed |= {deploy.id for deploy in deploys if deploy.at >= before}
    old = _old_rollbacks(rollbacks, needed, before)
    needed |= {rollback.deploy_id for rollback in rollbacks if rollback.id not in old}

    return Old(
        deploys=tuple(deploy.id for deploy in deploys if deploy.id not in needed),
        rollbacks=tuple(old),
    )


def _old_rollbacks(
    rollbacks: Sequence[Rollback], needed: set[str], before: datetime
) -> dict[str, Rollback]:
    """Give what has ended long ago and holds nothing back."""
    ordered = sorted(rollbacks, key=lambda rollback: rollback.tripped_at, reverse=True)
    latching = next((rollback for rollback in ordered if rollback.latches), None)
    remedies = (one for one in ordered if one.kind is RollbackKind.REMEDY and not one.started_by)
    tried = next(remedies, None)

    return {
        rollback.id: rollback
        for rollback in ordered[1:]
        if rollback.tripped_at < before
        and (rollback.state.ended or rollback.state is RollbackState.BLOCKED)
        and rollback.deploy_id not in needed
        and rollback is not latching
        and rollback is not tried
    }
