"""Flapping: what opens again and again is told once, and how it ended is told as well."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

from monitor.core.model.changes import Changes
from monitor.core.model.deploy import DeployKind, DeployState
from monitor.core.model.endpoint import Check, InARow, Severity, Signal
from monitor.core.model.rollback import Blocked, Mode
from monitor.core.model.service import LevelPlan, RollbackPolicy, Service, StepPlan
from monitor.core.report import report_checks, status_json
from monitor.core.situation import Situation
from monitor.core.wording import member_line
from monitor.metrics.checks import check_series
from monitor.store.codec import decode, encode
from tests.support.watching import Story, make_check, make_directory, make_endpoint, make_story

BAD, GOOD = 500, 200
ROLLBACK = RollbackPolicy(
    mode=Mode.AUTOMATIC,
    triggers=("api.health",),
    levels=(LevelPlan(steps=(StepPlan(number=1, kind="command"),)),),
    modes=MappingProxyType({}),
)
HALF_AN_HOUR = [GOOD] * 60


def nervous(**facts: object) -> Check:
    """Make a check that opens at one fail and closes at one pass."""
    return replace(make_check(opens=InARow(count=1), closes=1), **facts)  # type: ignore[arg-type]  # the tests name fields only


def begin(*checks: Check, situation: Situation | None = None) -> Story:
    return make_story(make_endpoint(*(checks or (nervous(),))), situation=situation)


def headlines(story: Story) -> list[str]:
    return [one.notice.headline for one in story.told]


def test_six_openings_in_an_hour_are_told_one_by_one_and_the_seventh_says_that_it_flaps() -> None:
    story = begin()

    story.sees(*[BAD, GOOD] * 6)
    assert story.events == ["opened", "resolved"] * 6

    story.sees(BAD)
    assert story.events[12:] == ["opened"]
    assert headlines(story)[-1] == (
        "shop is failing on and off (api.health flapping, failed 7 times since "
        "2026-07-01 12:00:00 UTC, last: status is 500, expected 2xx)"
    )


def test_while_it_flaps_nothing_is_told_and_everything_is_in_the_timeline() -> None:
    story = begin()
    story.sees(*[BAD, GOOD] * 6, BAD)
    told = len(story.told)

    story.sees(GOOD, *[BAD, GOOD] * 20)

    assert len(story.told) == told
    (incident,) = story.open
    lines = [(entry.event, entry.text) for entry in story.engine.situation.timelines[incident.id]]
    assert [event for event, _ in lines] == ["opened", "passes", *["fails_again", "passes"] * 20]
    assert lines[1][1] == "api.health passes, and has to go on so before it counts as recovered"
    assert lines[2][1] == ("api.health fails again, 8 times by now: status is 500, expected 2xx")


def test_what_flaps_for_days_keeps_a_timeline_of_bounded_length() -> None:
    story = begin()
    story.sees(*[BAD, GOOD] * 2_006)

    (incident,) = story.open
    lines = story.engine.situation.timelines[incident.id]
    assert len([one for one in lines if one.event == "fails_again"]) == 43 + 19 + 1
    assert len([one for one in lines if one.event == "passes"]) == 44 + 19 + 1
    assert incident.members[0].flapping is not None
    assert incident.members[0].flapping.openings == 2_006


def test_after_half_an_hour_of_passing_it_has_settled_and_its_end_says_how_often() -> None:
    story = begin()
    story.sees(*[BAD, GOOD] * 10)
    told = len(story.told)

    story.sees(*HALF_AN_HOUR[1:])
    assert len(story.told) == told

    story.sees(GOOD)
    assert story.events[told:] == ["resolved"]
    assert headlines(story)[-1] == (
        "shop has recovered after 34 min (api.health); "
        "api.health was flapping, failed 10 times since 2026-07-01 12:00:00 UTC"
    )
    assert not story.open


def test_after_ten_minutes_of_failing_it_is_an_ordinary_incident_again() -> None:
    story = begin()
    story.sees(*[BAD, GOOD] * 7, BAD)
    told = len(story.told)

    story.sees(*[BAD] * 20)
    assert story.events[told:] == ["updated"]
    assert headlines(story)[-1] == (
        "shop: api.health is not flapping any more, it fails all the time: "
        "status is 500, expected 2xx, for 10 min, 21 times in a row"
    )
    assert not story.told[-1].notice.better

    story.sees(GOOD)
    assert story.events[told:] == ["updated", "resolved"]


def test_openings_that_are_spread_over_more_than_an_hour_are_told_each() -> None:
    story = begin()
    for _ in range(20):
        story.sees(BAD, GOOD)
        story.seconds += 560

    assert story.events == ["opened", "resolved"] * 20


def test_the_number_of_openings_may_be_another() -> None:
    story = begin(nervous(flapping_threshold=1))

    story.sees(*[BAD, GOOD] * 5)

    assert story.events == ["opened", "resolved", "opened"]
    assert "failed 2 times" in headlines(story)[-1]


def test_where_it_is_turned_off_each_opening_is_told() -> None:
    story = begin(nervous(flapping_threshold=None))

    story.sees(*[BAD, GOOD] * 20)

    assert story.events == ["opened", "resolved"] * 20
    assert story.engine.situation.states["api.health"].openings == ()


def test_unknown_settles_nothing() -> None:
    story = begin()
    story.sees(*[BAD, GOOD] * 7)
    told = len(story.told)

    story.sees(*["?"] * 70)
    shop = [one for one in story.told[told:] if one.notice.service == "shop"]

    assert not shop
    assert [one.service for one in story.open] == ["shop", "production-monitor"]


def test_another_check_that_joins_and_leaves_is_told_as_ever() -> None:
    other = make_check(Signal.CERTIFICATE, opens=InARow(count=1), closes=1)
    other = replace(other, signal=Signal.HEALTH, id="api.other", severity=Severity.CRITICAL)
    story = begin(nervous(), other)
    story.sees(*[BAD, GOOD] * 7)
    told = len(story.told)

    story.sees("cert")
    assert story.events[told:] == ["updated"]
    assert "api.other fails as well" in headlines(story)[-1]

    story.sees(GOOD)
    assert story.events[told:] == ["updated", "updated"]
    assert "api.health is still flapping" in headlines(story)[-1]


def test_a_check_that_begins_to_flap_in_an_open_incident_is_told() -> None:
    other = make_check(Signal.CERTIFICATE, opens=InARow(count=1), closes=1000)
    other = replace(other, signal=Signal.HEALTH, id="api.other")
    story = begin(nervous(), other)
    story.sees("cert", *[BAD, GOOD] * 6)
    told = len(story.told)

    story.sees(BAD, GOOD, BAD)

    assert headlines(story)[told:] == [
        "shop: api.health is flapping, failed 7 times since 2026-07-01 12:00:30 UTC, "
        "last: status is 500, expected 2xx"
    ]


def test_a_restart_goes_on_with_it() -> None:
    through, story = begin(), begin()
    seen = [*[BAD, GOOD] * 9, *HALF_AN_HOUR, BAD]
    for status in seen:
        through.sees(status)
        story.sees(status)
        story = restart(story)

    assert story.told == through.told
    assert story.open == through.open
    assert story.events == [*["opened", "resolved"] * 7, "opened"]


def restart(story: Story) -> Story:
    """Begin anew with what was written down."""
    known = story.engine.situation.everything()
    situation = Situation()
    situation.apply(
        replace(
            known,
            states=tuple(decode(type(one), encode(one)) for one in known.states),
            incidents=tuple(decode(type(one), encode(one)) for one in known.incidents),
        )
    )
    later = begin(situation=situation)
    later.seconds, later.said = story.seconds, story.said

    return later


def test_a_clock_that_is_set_settles_nothing_and_forgets_nothing() -> None:
    story = begin()
    story.sees(*[BAD, GOOD] * 7)
    told = len(story.told)

    story.engine.set_clock(timedelta(hours=5), story.now + timedelta(hours=5))
    story.seconds += 5 * 3600
    story.sees(*HALF_AN_HOUR[1:])
    assert len(story.told) == told

    story.sees(GOOD)
    assert story.events[told:] == ["resolved"]


def test_a_check_that_is_removed_while_it_flaps_leaves_its_incident() -> None:
    story = begin()
    story.sees(*[BAD, GOOD] * 7)

    story.said.append(story.engine.adopt((), make_directory(), story.now))

    assert not story.open
    assert "no longer configured" in headlines(story)[-1]


def test_with_another_rule_it_flaps_until_it_has_settled_by_that() -> None:
    story = begin()
    story.sees(*[BAD, GOOD] * 7)
    changed = make_endpoint(nervous(fingerprint="two"))

    story.said.append(story.engine.adopt((changed,), make_directory(), story.now))
    assert story.open

    story.sees(*HALF_AN_HOUR)
    assert not story.open


def test_openings_by_another_rule_do_not_count() -> None:
    story = begin()
    story.sees(*[BAD, GOOD] * 6)
    changed = make_endpoint(nervous(fingerprint="two"))

    story.said.append(story.engine.adopt((changed,), make_directory(), story.now))
    story.sees(BAD)

    assert story.events[-1] == "opened"
    assert "flapping" not in headlines(story)[-1]


def test_what_was_told_to_nobody_is_told_as_it_stands() -> None:
    story = begin()
    story.sees(*[BAD, GOOD] * 7)
    known = story.engine.situation.everything()
    situation = Situation()
    situation.apply(replace(known, deliveries=()))
    later = begin(situation=situation)

    changes = later.engine.adopt((make_endpoint(nervous()),), make_directory(), story.now)

    (delivery,) = changes.deliveries
    assert "flapping, failed 7 times" in delivery.notice.headline


def test_a_lost_incident_is_opened_again_by_the_next_opening() -> None:
    story = begin()
    story.sees(*[BAD, GOOD] * 7)
    situation = Situation()
    situation.apply(Changes(states=story.engine.situation.everything().states))
    later = begin(situation=situation)
    later.seconds = story.seconds

    later.sees(GOOD, BAD)

    assert later.events == ["opened"]
    assert "flapping, failed 8 times" in headlines(later)[0]


def guarded(*checks: Check) -> Story:
    return make_story(
        make_endpoint(*(checks or (nervous(),))),
        directory=make_directory(Service(name="shop", rollback=ROLLBACK)),
    )


def announce(story: Story) -> None:
    story.said.append(
        story.engine.announce(
            "shop",
            version="v2",
            kind=DeployKind.PLANNED,
            state=DeployState.FINISHED,
            now=story.now,
        )
    )


def test_an_opening_that_is_not_told_trips_a_rollback_all_the_same() -> None:
    story = guarded()
    story.sees(*[GOOD] * 30)
    announce(story)
    story.engine.situation.apply(
        Changes(
            states=tuple(
                replace(one, openings=(story.now,) * 6)
                for one in story.engine.situation.states.values()
            )
        )
    )

    story.sees(BAD)

    (rollback,) = story.engine.situation.rollbacks.values()
    assert rollback.started_at is not None
    assert story.events == ["opened"]
    assert "flapping" in story.told[0].notice.headline
    assert "rollback of v2" in story.told[0].notice.headline

    story.sees(*[GOOD, BAD] * 10)
    assert len(story.engine.situation.rollbacks) == 1


def test_a_service_that_flapped_before_a_deploy_was_not_healthy_before_it() -> None:
    story = guarded()
    story.sees(*[BAD, GOOD] * 7, *[GOOD] * 15)

    announce(story)
    story.sees(BAD)

    (rollback,) = (one for one in story.engine.situation.rollbacks.values() if one.deploy_id)
    assert rollback.blocked is Blocked.UNHEALTHY_BEFORE


def test_a_deploy_is_not_known_to_be_good_while_the_service_flaps() -> None:
    story = guarded()
    story.sees(*[GOOD] * 30)
    announce(story)
    story.sees(*[BAD, GOOD] * 7, *HALF_AN_HOUR[2:])

    (deploy,) = story.engine.situation.deploys.values()
    assert deploy.certified_at is None

    story.sees(*[GOOD] * 30)
    (deploy,) = story.engine.situation.deploys.values()
    assert deploy.certified_at is not None


def test_status_shows_that_a_passing_check_is_flapping() -> None:
    story = begin()
    story.sees(*[BAD, GOOD] * 7)

    (report,) = report_checks(story.engine, story.engine.endpoints.values(), story.now)
    status = status_json(story.engine, story.now)

    note = "flapping, failed 7 times since 2026-07-01 12:00:00 UTC"
    assert report.note == note
    flapping = {"since": "2026-07-01T12:00:00+00:00", "openings": 7}
    assert status["checks"][0]["flapping"] == flapping
    assert status["incidents"][0]["checks"][0]["flapping"] == flapping
    (member,) = story.open[0].members
    assert member_line(member).endswith(f"{note}, last: status is 500, expected 2xx")


def test_metrics_show_it() -> None:
    story = begin()
    story.sees(*[BAD, GOOD] * 6)
    assert 'production_monitor_check_flapping{check="api.health"} 0' in page(story)

    story.sees(BAD, GOOD)
    assert 'production_monitor_check_flapping{check="api.health"} 1' in page(story)


def page(story: Story) -> str:
    return "".join(check_series(story.engine))
