"""What is known of heartbeats: the pings that came, and when anybody listened for them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta


class PingKind(StrEnum):
    """What a job says of itself."""

    START = "start"
    SUCCESS = "success"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """One signal of a job. `exit_code` is None where the job told none.

    `output` is what was sent with it: at most so much, printable, secrets masked.
    """

    at: datetime
    kind: PingKind
    exit_code: int | None = None
    output: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """All that decides about one heartbeat, by the name of its endpoint.

    `schedule` is by what it is expected, and `since` when that became known. `pings` are the
    newest, oldest first, without their output. `ended` is the newest ping that ended a run, and
    `shown` what the clock showed then: times of cron go by that, also after a clock was set.
    `started` is the first start since then: a job that is started anew and never ends is no sign of
    health. `restarted` is the newest start, `took` what the last run took, None without its start.
    """

    endpoint: str
    schedule: str
    since: datetime
    pings: tuple[Ping, ...] = ()
    ended: Ping | None = None
    shown: datetime | None = None
    started: datetime | None = None
    restarted: datetime | None = None
    took: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """A time in which a monitor listened for pings; between two of them nobody did.

    `until` follows with the clock, a few seconds behind.
    """

    id: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a probe is told of its heartbeat: None before it was ever known.

    Presences are in their order; one that goes on lasts until now.
    """

    heartbeat: Heartbeat | None = None
    presences: tuple[Presence, ...] = ()
