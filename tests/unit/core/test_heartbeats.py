"""Whether a heartbeat beats: by its schedule, its pings, who listened, and the time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.heartbeats import Beat, Cron, Every, Expected, cron_problem, decide
from monitor.core.model.heartbeat import Heard, Heartbeat, Ping, PingKind, Presence
from monitor.core.pings import KEPT_PINGS, clean_output, take
from monitor.core.wording.heartbeats import say_beat

MADRID = ZoneInfo("Europe/Madrid")
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ALWAYS = Presence(id=1, since=NOON - timedelta(days=999), until=NOON + timedelta(days=999))

HOURLY = Expected(times=Every(period=HOUR), grace=10 * MINUTE, max_run_time=10 * MINUTE)
NIGHTLY = Expected(
    times=Cron(expression="0 2 * * *", zone=ZoneInfo("UTC")),
    grace=30 * MINUTE,
    max_run_time=30 * MINUTE,
)


def at(text: str) -> datetime:
    """Read a time such as `03-02 12:00`, UTC; without a day it is the second of March."""
    day, _, clock = text.rpartition(" ")

    return datetime.fromisoformat(f"2026-{day or '03-02'}T{clock}+00:00")


def heard(*signals: str, since: str = "01-01 00:00", listened: tuple[str, ...] = ()) -> Heard:
    """Give what was heard: signals such as `03-02 02:00 start`, and `from/to` of each presence."""
    heartbeat = Heartbeat(endpoint="backup", schedule="", since=at(since))
    for signal in signals:
        when, _, what = signal.rpartition(" ")
        heartbeat = take(heartbeat, a_ping(at(when), what))
    presences = tuple(
        Presence(id=n, since=at(one.split("/")[0]), until=at(one.split("/")[1]))
        for n, one in enumerate(listened)
    )

    return Heard(heartbeat=heartbeat, presences=presences or (ALWAYS,))


def a_ping(when: datetime, what: str) -> Ping:
    match what:
        case "start":
            return Ping(at=when, kind=PingKind.START)
        case "ok":
            return Ping(at=when, kind=PingKind.SUCCESS, exit_code=0)
        case "fail":
            return Ping(at=when, kind=PingKind.FAIL)

    return Ping(at=when, kind=PingKind.FAIL, exit_code=int(what))


@pytest.mark.parametrize(
    ("signals", "now", "beat"),
    [
        pytest.param([], "01-01 01:10", Beat.NEW, id="nothing came within the first period"),
        pytest.param([], "01-01 01:10:01", Beat.MISSED, id="nothing ever came"),
        pytest.param(["11:30 ok"], "12:30", Beat.ON_TIME, id="one came a period ago"),
        pytest.param(["11:30 ok"], "12:40", Beat.LATE, id="the next is late within the grace"),
        pytest.param(["11:30 ok"], "12:40:01", Beat.MISSED, id="the grace is over"),
        pytest.param(["11:30 ok", "12:40 ok"], "12:41", Beat.ON_TIME, id="it came at last"),
        pytest.param(["11:30 ok", "11:40 fail"], "11:41", Beat.FAILED, id="it said so"),
        pytest.param(["11:30 ok", "11:40 3"], "11:41", Beat.FAILED, id="an exit code"),
        pytest.param(["11:40 3", "12:00 start"], "12:01", Beat.FAILED, id="a start proves nothing"),
        pytest.param(["11:40 3", "12:00 ok"], "12:01", Beat.ON_TIME, id="a success ends a failure"),
        pytest.param(["11:40 3"], "23:00", Beat.FAILED, id="a failure stays one"),
        pytest.param(["11:30 ok", "12:35 start"], "12:44", Beat.RUNNING, id="begun in time"),
        pytest.param(["11:30 ok", "12:35 start"], "12:46", Beat.OVERRUN, id="and never ended"),
        pytest.param(
            ["11:30 ok", "12:35 start", "12:44 start"],
            "12:46",
            Beat.OVERRUN,
            id="begun again and again, and never ended",
        ),
        pytest.param(["11:30 ok", "12:50 start"], "12:51", Beat.MISSED, id="begun too late"),
        pytest.param(["11:30 ok", "12:50 start", "12:55 ok"], "12:56", Beat.ON_TIME, id="ended"),
        pytest.param(["01-01 00:10 start"], "01-01 00:20", Beat.NEW, id="the first run goes on"),
    ],
)
def test_a_heartbeat_of_a_period(signals: list[str], now: str, beat: Beat) -> None:
    assert decide(HOURLY, heard(*signals), at(now)).beat is beat


@pytest.mark.parametrize(
    ("signals", "now", "beat"),
    [
        pytest.param(["03-01 02:20 ok"], "02:00", Beat.ON_TIME, id="due now"),
        pytest.param(["03-01 02:20 ok"], "02:30", Beat.LATE, id="at the end of the grace"),
        pytest.param(["03-01 02:20 ok"], "02:30:01", Beat.MISSED, id="after it"),
        pytest.param(["03-01 14:00 ok"], "02:30:01", Beat.MISSED, id="by hand in between"),
        pytest.param(["01:59:45 ok"], "03:00", Beat.ON_TIME, id="a clock that is ahead of ours"),
        pytest.param(["01:59 ok"], "03:00", Beat.MISSED, id="a minute early is another run"),
        pytest.param(["03-01 02:00 ok", "02:00 start"], "02:30", Beat.RUNNING, id="it runs"),
    ],
)
def test_a_heartbeat_by_cron(signals: list[str], now: str, beat: Beat) -> None:
    assert decide(NIGHTLY, heard(*signals), at(now)).beat is beat


@pytest.mark.parametrize(
    ("expression", "after", "due"),
    [
        # Madrid: 2026-03-29 02:00 is 03:00; 2026-10-25 03:00 is 02:00 again.
        pytest.param("30 2 * * *", "03-27 12:00", ["03-28 01:30"], id="an ordinary night"),
        pytest.param("30 2 * * *", "03-28 12:00", ["03-29 01:00", "03-30 00:30"], id="in the gap"),
        pytest.param("0 3 * * *", "03-28 12:00", ["03-29 01:00", "03-30 01:00"], id="behind it"),
        pytest.param("30 2 * * *", "10-24 12:00", ["10-25 00:30", "10-26 01:30"], id="twice: once"),
        pytest.param(
            "30 * * * *",
            "10-24 23:45",
            ["10-25 00:30", "10-25 01:30", "10-25 02:30"],
            id="each hour, also in the one that comes twice",
        ),
        pytest.param(
            "30 * * * *", "03-29 00:00", ["03-29 00:30", "03-29 01:30"], id="each hour, past a gap"
        ),
        pytest.param("0 2 * * 0", "03-02 12:00", ["03-08 01:00"], id="0 is Sunday"),
        pytest.param("0 2 * * 7", "03-02 12:00", ["03-08 01:00"], id="7 is Sunday, too"),
        pytest.param("0 2 * * MON", "03-02 12:00", ["03-09 01:00"], id="a name of a day"),
        pytest.param("0 2 1 * 0", "03-02 12:00", ["03-08 01:00"], id="a day of either kind"),
    ],
)
def test_cron_times_in_a_zone_with_summer_time(expression: str, after: str, due: list[str]) -> None:
    times = Cron(expression=expression, zone=MADRID)
    moment, found = at(after), []
    for _ in due:
        moment = times.after(moment)
        found.append(moment)

    assert found == [at(one) for one in due]


def test_a_backup_in_the_night_of_a_gap_is_due_once_and_not_missed_before() -> None:
    expected = replace(NIGHTLY, times=Cron(expression="30 2 * * *", zone=MADRID))
    known = heard("03-28 01:35 ok")

    assert decide(expected, known, at("03-29 00:59")).beat is Beat.ON_TIME
    assert decide(expected, known, at("03-29 01:29")).beat is Beat.LATE
    assert decide(expected, known, at("03-29 01:31")).beat is Beat.MISSED


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("0 2 * * *", ""),
        ("*/5 8-18 * * MON-FRI", ""),
        ("0 2 * *", "five fields"),
        ("0 0 2 * * *", "five fields"),
        ("61 2 * * *", "minute"),
        ("0 2 * * 8", "day of week"),
        ("0 2 31 2 *", "day of month"),
    ],
)
def test_a_wrong_expression_is_said_by_its_field(expression: str, problem: str) -> None:
    found = cron_problem(expression, MADRID, NOON)

    assert (problem in found) if problem else found == ""


@pytest.mark.parametrize(
    ("listened", "now", "beat"),
    [
        pytest.param(["03-01 00:00/02:40"], "02:30:05", Beat.MISSED, id="all the time"),
        pytest.param(["03-01 00:00/01:00"], "03:00", Beat.UNHEARD, id="not when it was due"),
        pytest.param(["03-01 00:00/01:00", "02:20/03:00"], "03:00", Beat.UNHEARD, id="too late"),
        pytest.param(["03-01 00:00/02:10", "02:25/03:00"], "03:00", Beat.UNHEARD, id="a gap"),
        pytest.param(["03-01 00:00/02:10", "02:10:10/03:00"], "03:00", Beat.MISSED, id="restarted"),
        pytest.param(["03-01 00:00/01:00", "01:58/03:00"], "03:00", Beat.MISSED, id="back in time"),
        pytest.param(["03-01 00:00/02:30", "04:00/05:00"], "05:00", Beat.MISSED, id="gone later"),
        pytest.param(["03-01 00:00/01:00"], "02:20", Beat.LATE, id="healthy by the clock"),
        pytest.param(["03-01 00:00/01:00", "05:00/03-03 02:40"], "03-03 02:29", Beat.UNHEARD),
        pytest.param(["03-01 00:00/01:00", "05:00/03-03 02:40"], "03-03 02:31", Beat.MISSED),
        pytest.param(["03-01 00:00/01:00", "05:00/03-03 01:00"], "03-03 02:31", Beat.UNHEARD),
    ],
)
def test_nobody_is_blamed_for_a_ping_that_nobody_could_hear(
    listened: list[str], now: str, beat: Beat
) -> None:
    known = heard("03-01 02:05 ok", listened=tuple(listened))

    assert decide(NIGHTLY, known, at(now)).beat is beat


def test_nobody_is_blamed_for_the_end_of_a_run_that_nobody_could_hear() -> None:
    expected = replace(NIGHTLY, max_run_time=4 * HOUR)
    known = heard("03-01 02:05 ok", "02:01 start", listened=("03-01 00:00/03:00", "04:00/09:00"))

    assert decide(expected, known, at("06:00")).beat is Beat.RUNNING
    assert decide(expected, known, at("06:30")).beat is Beat.UNHEARD


def test_where_nobody_ever_listened_nothing_is_missed() -> None:
    known = replace(heard(), presences=())

    assert decide(HOURLY, known, at("12:00")).beat is Beat.UNHEARD


def test_a_failure_is_one_whoever_listened() -> None:
    known = heard("03-01 02:05 fail", listened=("03-01 00:00/03-01 03:00",))

    assert decide(NIGHTLY, known, at("05:00")).beat is Beat.FAILED


def test_a_short_restart_in_a_long_grace_hides_no_missed_rotation() -> None:
    expected = Expected(
        times=Every(period=timedelta(days=90)),
        grace=timedelta(days=7),
        max_run_time=timedelta(days=7),
    )
    known = heard("01-02 12:00 ok", listened=("01-01 00:00/04-04 10:00", "04-04 10:05/04-20 00:00"))

    assert decide(expected, known, at("04-09 11:59")).beat is Beat.LATE
    assert decide(expected, known, at("04-09 12:01")).beat is Beat.MISSED


def test_by_another_schedule_the_patience_begins_anew() -> None:
    known = heard("08:00 ok", since="11:30")

    assert decide(HOURLY, known, at("12:40")).beat is Beat.LATE
    assert decide(HOURLY, known, at("12:41")).beat is Beat.MISSED


def test_other_exit_codes_may_be_successes() -> None:
    expected = replace(HOURLY, successes=frozenset({0, 24}))

    assert decide(expected, heard("11:30 24"), at("11:31")).beat is Beat.ON_TIME
    assert decide(expected, heard("11:30 23"), at("11:31")).beat is Beat.FAILED


def test_the_run_time_is_that_of_the_newest_start() -> None:
    known = heard("10:00 start", "11:00 start", "11:20 ok").heartbeat

    assert known is not None
    assert known.took == 20 * MINUTE
    assert take(known, a_ping(at("12:00"), "ok")).took is None


def test_only_the_newest_pings_are_kept_and_one_output() -> None:
    known = Heartbeat(endpoint="backup", schedule="", since=NOON)
    for minute in range(3 * KEPT_PINGS):
        ping = a_ping(NOON + minute * MINUTE, "ok")
        known = take(known, replace(ping, output="x" * 99))

    assert len(known.pings) == KEPT_PINGS
    assert known.pings[-1].at == NOON + (3 * KEPT_PINGS - 1) * MINUTE
    assert not any(ping.output for ping in known.pings)
    assert known.ended is not None
    assert known.ended.output == "x" * 99


def test_what_a_job_sends_can_do_nothing_where_it_is_shown() -> None:
    assert clean_output("a\x1b[31m\r\nb\tc\x00\n\n") == "a\\x1b[31m\nb   c\\x00"
    assert clean_output("x" * 99_999 + "end").endswith("xend")
    assert len(clean_output("\x00" * 99_999)) == 10 * 1024


@pytest.mark.parametrize(
    ("signals", "now", "said"),
    [
        (
            ["03-01 02:05 ok"],
            "03:00",
            "no ping since 2026-03-01 02:05:00 UTC: one was due 2026-03-02 02:00:00 UTC, "
            "2026-03-02 02:30:00 UTC at the latest",
        ),
        (
            ["03-01 02:05 ok", "02:10 start"],
            "03:00",
            "the run that began 2026-03-02 02:10:00 UTC has not ended, expected by "
            "2026-03-02 02:40:00 UTC",
        ),
        (
            ["03-01 02:05 ok", "02:50 start"],
            "03:00",
            "no ping since 2026-03-01 02:05:00 UTC: one was due 2026-03-02 02:00:00 UTC, "
            "2026-03-02 02:30:00 UTC at the latest; a run began too late, 2026-03-02 02:50:00 UTC",
        ),
        (["02:05 fail"], "03:00", "the job said that it failed at 2026-03-02 02:05:00 UTC"),
        (["02:05 3"], "03:00", "the job ended with exit code 3 at 2026-03-02 02:05:00 UTC"),
        (
            ["02:00 start", "02:05 ok"],
            "03:00",
            "last ping 2026-03-02 02:05:00 UTC after 5 min; the next is due "
            "2026-03-03 02:00:00 UTC",
        ),
    ],
)
def test_a_tired_person_is_told_when_it_was_due(signals: list[str], now: str, said: str) -> None:
    known = heard(*signals)

    assert say_beat(decide(NIGHTLY, known, at(now)), known.heartbeat) == said


def test_the_last_line_of_a_failed_job_is_told() -> None:
    heartbeat = Heartbeat(
        endpoint="backup",
        schedule="",
        since=NOON,
        ended=Ping(at=NOON, kind=PingKind.FAIL, exit_code=1, output="dumping\nno space left\n\n"),
    )

    said = say_beat(decide(HOURLY, Heard(heartbeat=heartbeat), NOON), heartbeat)

    assert said == "the job ended with exit code 1 at 2026-03-02 12:00:00 UTC: no space left"


SECONDS = st.integers(1, 10 * 86_400).map(lambda seconds: timedelta(seconds=seconds))
EXPRESSIONS = st.sampled_from(
    ["0 2 * * *", "*/5 * * * *", "30 2 * * *", "15 4 1 * *", "0 0 * * 0", "0 3 * * MON-FRI"]
)
TIMES = st.one_of(
    SECONDS.map(lambda period: Every(period=period)),
    EXPRESSIONS.map(lambda expression: Cron(expression=expression, zone=MADRID)),
)


@given(times=TIMES, grace=SECONDS, begin=st.integers(0, 400 * 86_400), data=st.data())
def test_it_is_never_missed_while_pings_come_in_time_and_always_without(
    times: Every | Cron, grace: timedelta, begin: int, data: st.DataObject
) -> None:
    expected = Expected(times=times, grace=grace, max_run_time=grace)
    now = NOON - timedelta(days=300) + timedelta(seconds=begin)
    presence = Presence(id=1, since=now, until=now + timedelta(days=9_999))
    known = Heartbeat(endpoint="backup", schedule="", since=now)
    for late in data.draw(st.lists(st.floats(0, 1), max_size=6)):
        decision = decide(expected, Heard(heartbeat=known, presences=(presence,)), now)
        assert decision.beat is not Beat.MISSED
        now = max(now, decision.due + late * grace)
        latest = decide(expected, Heard(heartbeat=known, presences=(presence,)), now)
        assert latest.beat in (Beat.NEW, Beat.ON_TIME, Beat.LATE)
        known = take(known, a_ping(now, "ok"))

    silent = Heard(heartbeat=known, presences=(presence,))
    early = isinstance(times, Cron) and known.pings  # a ping just before a time is for that time
    patient = min(timedelta(seconds=30), grace / 2) if early else timedelta()
    deadline = times.after(now + patient) + grace
    assert decide(expected, silent, deadline).beat is not Beat.MISSED
    assert decide(expected, silent, deadline + timedelta(seconds=1)).beat is Beat.MISSED
    assert decide(expected, silent, deadline + timedelta(days=3_000)).beat is Beat.MISSED


@given(
    gaps=st.lists(st.tuples(st.integers(1, 5_000), st.integers(1, 5_000)), max_size=8),
    times=TIMES,
    grace=SECONDS,
    now=st.integers(0, 99_999_999),
)
def test_every_decision_comes_to_an_end_whoever_listened_when(
    gaps: list[tuple[int, int]], times: Every | Cron, grace: timedelta, now: int
) -> None:
    presences, moment = [], NOON
    for id, (listened, silent) in enumerate(gaps):
        until = moment + listened * MINUTE
        presences.append(Presence(id=id, since=moment, until=until))
        moment = until + silent * MINUTE
    known = Heard(
        heartbeat=Heartbeat(endpoint="backup", schedule="", since=NOON), presences=tuple(presences)
    )

    decision = decide(
        Expected(times=times, grace=grace, max_run_time=grace),
        known,
        NOON + timedelta(seconds=now),
    )

    assert decision.due <= decision.deadline
