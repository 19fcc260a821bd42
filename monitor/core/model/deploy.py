"""Deploys: which version of a service is live, since when, and whether it is known to be good."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class DeployKind(StrEnum):
    """Why a version changed; only planned deploys and hotfixes arm a rollback."""

    PLANNED = "planned"
    HOTFIX = "hotfix"
    ROLLBACK = "rollback"


class DeployState(StrEnum):
    """`started` until it is finished; `certified` once healthy long enough: the last known good."""

    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"
    CERTIFIED = "certified"
    SUPERSEDED = "superseded"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """One deploy of one service. `id` is by default `version@time`.

    `at` is when it was first known (the window after a deploy starts there, or at `finished_at`).
    `healthy_before` says whether all triggering checks passed before it: None is not known.
    `observed` marks one whose version was seen in an answer, `announced` one that a marker told.
    `marker_id` is the id that a marker gave to a deploy that was seen before it. `baseline` marks
    what was live when the service was first seen: a version, but no change of one.
    """

    id: str
    service: str
    version: str
    kind: DeployKind
    state: DeployState
    at: datetime
    finished_at: datetime | None = None
    commit: str | None = None
    healthy_before: bool | None = None
    healthy_since: datetime | None = None
    certified_at: datetime | None = None
    observed: bool = False
    announced: bool = False
    marker_id: str | None = None
    baseline: bool = False

    @property
    def arms(self) -> bool:
        """Whether it may be the cause of what fails afterwards, and so be rolled back."""
        return (
            self.kind is not DeployKind.ROLLBACK
            and not self.baseline
            and self.state not in (DeployState.FAILED, DeployState.SUPERSEDED)
        )

    @property
    def live_at(self) -> datetime:
        """When it was finished, as far as that is known: the window after it starts there."""
        return self.finished_at or self.at
