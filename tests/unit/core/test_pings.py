"""What is remembered of pings and of who listened: from start to stop, over clocks and reloads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from monitor.core.engine import Conditions, Engine
from monitor.core.heartbeats import Beat, Cron, Every, Expected, decide
from monitor.core.model.changes import NOTHING, Changes
from monitor.core.model.heartbeat import Ping, PingKind
from monitor.core.pings import hear_of, listen, take
from monitor.core.situation import KEPT_PRESENCES, Situation
from tests.support.stored import a_presence
from tests.support.watching import make_directory, make_endpoint

if TYPE_CHECKING:
    from monitor.core.model.endpoint import Endpoint

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
EVENING = datetime(2026, 3, 1, 20, tzinfo=UTC)
NIGHTLY = Expected(
    times=Cron(expression="0 2 * * *", zone=ZoneInfo("UTC")),
    grace=30 * MINUTE,
    max_run_time=30 * MINUTE,
)
HOURLY = Expected(times=Every(period=HOUR), grace=10 * MINUTE, max_run_time=10 * MINUTE)


def an_endpoint(name: str = "backup", beats: str = "pings each 1d") -> Endpoint:
    return replace(make_endpoint(name=name), beats=beats)


class Life:
    """A process that listens; `now` goes on by its ticks."""

    def __init__(
        self, situation: Situation, now: datetime, *endpoints: Endpoint, daemon: bool = True
    ) -> None:
        self.now = now
        self.situation = situation
        self.daemon = daemon
        self.engine = Engine(
            endpoints=endpoints,
            directory=make_directory(),
            situation=situation,
            mask=str,
            conditions=lambda: Conditions(oneshot=not daemon),
        )
        self.adopt(*endpoints)
        if daemon:
            situation.apply(listen(situation, now))

    def adopt(self, *endpoints: Endpoint) -> Changes:
        return self.engine.adopt(endpoints, make_directory(), self.now)

    def goes_on(self, span: timedelta, step: timedelta = MINUTE) -> None:
        until = self.now + span
        while self.now < until:
            self.now = min(self.now + step, until)
            self.engine.tick(self.now)

    def hears(self, kind: PingKind = PingKind.SUCCESS) -> None:
        known = self.situation.heartbeats["backup"]
        self.situation.apply(Changes(heartbeats=(take(known, Ping(at=self.now, kind=kind)),)))

    def set_clock(self, by: timedelta) -> None:
        self.now += by
        self.engine.set_clock(by, self.now)

    def beat(self, expected: Expected = NIGHTLY) -> Beat:
        listening_at = self.now if self.daemon else None

        return decide(
            expected, hear_of("backup", self.situation, listening_at=listening_at), self.now
        ).beat


def test_a_heartbeat_is_known_since_it_was_configured_first() -> None:
    first = Life(Situation(), EVENING, an_endpoint())
    later = Life(first.situation, EVENING + HOUR, an_endpoint())

    assert later.situation.heartbeats["backup"].since == EVENING


def test_another_schedule_keeps_the_pings_and_begins_the_patience_anew() -> None:
    life = Life(Situation(), EVENING, an_endpoint())
    life.hears()
    life.goes_on(HOUR)

    life.adopt(an_endpoint(beats="pings each 2h"))

    known = life.situation.heartbeats["backup"]
    assert known.since == EVENING + HOUR
    assert known.ended is not None
    assert known.ended.at == EVENING


def test_what_is_no_heartbeat_any_more_is_forgotten() -> None:
    life = Life(Situation(), EVENING, an_endpoint(), an_endpoint("report"))

    changes = life.adopt(an_endpoint("report"))

    assert changes.silenced == ("backup",)
    assert list(life.situation.heartbeats) == ["report"]


def test_without_heartbeats_nothing_is_written_about_who_listens() -> None:
    life = Life(Situation(), EVENING, make_endpoint())

    assert life.engine.tick(EVENING + HOUR) is NOTHING
    assert life.situation.presences == {}


def test_that_somebody_listens_is_written_down_each_few_seconds_only() -> None:
    life = Life(Situation(), EVENING, an_endpoint())
    written = [life.engine.tick(EVENING + n * timedelta(seconds=1)) for n in range(1, 21)]

    assert sum(bool(changes.presences) for changes in written) == 4
    assert not any(changes.urgent for changes in written)


def test_a_run_that_ends_by_itself_does_not_listen() -> None:
    daemon = Life(Situation(), EVENING, an_endpoint())
    daemon.hears()
    daemon.goes_on(HOUR)
    before = dict(daemon.situation.presences)
    rounds = Life(daemon.situation, EVENING + 9 * HOUR, an_endpoint(), daemon=False)
    rounds.goes_on(MINUTE)

    assert rounds.situation.presences == before
    assert rounds.beat() is Beat.UNHEARD


def test_what_was_missed_while_somebody_listened_stays_so_over_a_restart() -> None:
    first = Life(Situation(), EVENING, an_endpoint())
    first.hears()
    first.goes_on(7 * HOUR)
    assert first.beat() is Beat.MISSED
    second = Life(first.situation, EVENING + 12 * HOUR, an_endpoint())

    assert second.beat() is Beat.MISSED


@pytest.mark.parametrize("away", [5 * HOUR, 7 * HOUR, 29 * HOUR])
def test_a_monitor_that_was_away_blames_nobody_until_the_next_time(away: timedelta) -> None:
    first = Life(Situation(), EVENING, an_endpoint())
    first.hears()
    first.goes_on(2 * HOUR)
    second = Life(first.situation, first.now + away, an_endpoint())
    seen = set()
    while second.now < EVENING + timedelta(days=4):
        second.goes_on(10 * MINUTE)
        if second.beat() is Beat.MISSED:
            break
        seen.add(second.beat())

    assert second.beat() is Beat.MISSED
    assert second.now.hour == 2
    assert second.now - (EVENING + 2 * HOUR + away) < timedelta(hours=25)
    assert seen <= {Beat.UNHEARD, Beat.ON_TIME, Beat.LATE}


@pytest.mark.parametrize("by", [HOUR, -HOUR, 26 * HOUR, -26 * HOUR])
def test_a_clock_that_is_set_makes_no_ping_late(by: timedelta) -> None:
    life = Life(Situation(), EVENING, an_endpoint())
    life.goes_on(6 * HOUR)
    life.hears()  # at two in the morning
    life.goes_on(timedelta(hours=23, minutes=30))
    before = life.beat()
    life.set_clock(by)
    life.goes_on(5 * MINUTE)

    assert before is Beat.ON_TIME
    assert life.beat() in (Beat.ON_TIME, Beat.LATE, Beat.UNHEARD)
    assert life.beat(HOURLY) in (Beat.MISSED, Beat.UNHEARD)


def test_a_process_that_stood_still_blames_nobody() -> None:
    life = Life(Situation(), EVENING, an_endpoint())
    life.hears()
    life.goes_on(30 * MINUTE)
    life.now += HOUR
    life.engine.note_absence(life.now)

    assert life.beat(HOURLY) is Beat.UNHEARD
    life.goes_on(71 * MINUTE)
    assert life.beat(HOURLY) is Beat.MISSED


def test_only_the_newest_presences_are_kept() -> None:
    situation = Situation()
    situation.apply(
        Changes(presences=tuple(a_presence(n, n, n) for n in range(1, KEPT_PRESENCES + 9)))
    )

    assert min(situation.presences) == 9
    assert len(situation.presences) == KEPT_PRESENCES
