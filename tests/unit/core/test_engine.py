"""What probes lead to: incidents, notices, and nothing that was not proven."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.core.engine import Conditions
from monitor.core.incidents import MONITOR_SERVICE
from monitor.core.model.endpoint import InARow, KOfN, LatencyRule, OnInsufficient, Severity, Signal
from monitor.core.model.incident import STORE_CHECK, IncidentClass
from monitor.core.model.observation import Code, Fault
from monitor.core.model.verdict import Outcome
from monitor.core.situation import Situation
from monitor.store.codec import decode, encode
from tests.support.watching import (
    EVERY,
    Story,
    answer,
    at,
    make_check,
    make_directory,
    make_endpoint,
    make_story,
)

HEALTH = make_check()


@pytest.fixture
def story() -> Story:
    return make_story()


def test_the_third_fail_in_a_row_opens_and_the_fourth_does_not_open_again(story: Story) -> None:
    story.sees(500, 500)
    before = list(story.open)
    story.sees(500, 500)

    assert before == []
    assert [incident.since for incident in story.open] == [at(0)]
    assert story.events == ["opened"]
    assert story.told[0].notice.headline == (
        "shop answers 500, expected 2xx, for 60 s (api.health, 3 times in a row)"
    )


def test_a_pass_restarts_the_count(story: Story) -> None:
    story.sees(500, 500, 200, 500, 500)

    assert story.open == []
    assert story.events == []


def test_two_passes_resolve(story: Story) -> None:
    story.sees(500, 500, 500, 200)
    still = list(story.open)
    story.sees(200)

    assert len(still) == 1
    assert story.open == []
    assert story.events == ["opened", "resolved"]


def test_unknown_neither_counts_nor_proves_a_recovery(story: Story) -> None:
    story.sees(500, 500, "?", 500)
    opened = story.events
    story.sees(200, "?", 500, 200, "?")
    still = len(story.open)
    story.sees(200)

    assert opened == ["opened"]
    assert still == 1
    assert story.open == []


def test_the_probe_that_opens_is_urgent_and_a_settled_pass_is_not(story: Story) -> None:
    settled = story.sees(200)
    story.sees(500, 500)
    opening = story.sees(500)

    assert not settled.urgent
    assert opening.urgent
    assert len(opening.results) == 1
    assert opening.states[0].state is Outcome.FAIL


def test_another_check_of_the_service_joins_the_outage() -> None:
    story = make_story(
        make_endpoint(),
        make_endpoint(
            make_check(endpoint="page", severity=Severity.CRITICAL), name="page", service="shop"
        ),
    )
    story.sees(500, 500, 500)
    story.sees(503, 503, 503, endpoint="page")

    (incident,) = story.open
    assert [member.check for member in incident.members] == ["api.health", "page.health"]
    assert incident.severity is Severity.CRITICAL
    assert story.events == ["opened", "updated"]


def test_a_finding_is_apart_from_the_outage() -> None:
    certificate = make_check(Signal.CERTIFICATE, opens=InARow(count=1), closes=1)
    story = make_story(make_endpoint(HEALTH, certificate))
    story.sees("cert")
    story.sees(500, 500, 500)

    assert {incident.klass for incident in story.open} == {IncidentClass.OUTAGE}
    assert story.events == ["opened", "resolved", "opened"]


def test_three_unknown_intervals_blame_the_monitor_until_it_sees_again(story: Story) -> None:
    story.sees(200, "?", "?")
    before = story.events
    story.sees("?", "?")
    (incident,) = story.open
    story.sees(200)

    assert before == []
    assert (incident.service, incident.klass) == (MONITOR_SERVICE, IncidentClass.MONITOR)
    assert story.events == ["blind", "resolved"]
    assert story.open == []


def test_an_outage_stays_open_while_the_monitor_is_blind(story: Story) -> None:
    story.sees(500, 500, 500, "?", "?", "?", "?")
    both = {incident.klass for incident in story.open}
    story.sees(200, 200)

    assert both == {IncidentClass.OUTAGE, IncidentClass.MONITOR}
    assert story.open == []


def test_a_restart_in_the_middle_of_a_streak_goes_on_counting(story: Story) -> None:
    changes = story.sees(500, 500)
    remembered = Situation()
    for state in changes.states:
        remembered.states[state.check] = decode(type(state), encode(state))
    later = make_story(situation=remembered)
    later.seconds = story.seconds
    later.sees(500)

    assert [incident.since for incident in later.open] == [at(0)]


def test_an_open_incident_is_found_again_after_a_restart(story: Story) -> None:
    changes = story.sees(500, 500, 500)
    remembered = Situation()
    remembered.apply(
        replace(
            changes,
            incidents=tuple(decode(type(one), encode(one)) for one in changes.incidents),
            deliveries=(),
        )
    )
    later = make_story(situation=remembered)
    later.seconds = story.seconds
    later.sees(500, 200, 200)

    assert later.events == ["resolved"]
    assert later.told[0].notice.incident == story.told[0].notice.incident


def test_retries_count_for_fails_in_a_row(story: Story) -> None:
    story.sees(500)
    for seconds in (10, 20):
        story.takes(answer(500, seconds=seconds), scheduled=False)

    assert len(story.open) == 1


@pytest.mark.parametrize(
    ("statuses", "opens"),
    [
        pytest.param([500, 200, 500, 200], False, id="FPFP stays"),
        pytest.param([500, 200, 500, 200, 500], True, id="FPFPF opens"),
        pytest.param([500, 200, 200, 200, 500, 500], False, id="FPPPFF: the first is forgotten"),
        pytest.param([500, "?", 500, "?", 500], True, id="F?F?F: unknown takes no place"),
    ],
)
def test_three_of_five(statuses: list[int | str], opens: bool) -> None:
    story = make_story(make_endpoint(make_check(opens=KOfN(k=3, n=5))))
    story.sees(*statuses)

    assert bool(story.open) is opens


def test_an_endpoint_is_unsettled_on_its_way_up_and_down(story: Story) -> None:
    (endpoint,) = story.engine.endpoints.values()
    settled = [story.engine.settled(endpoint)]
    for status in (200, 500, 500, 500, 200, 200):
        story.sees(status)
        settled.append(story.engine.settled(endpoint))

    assert settled == [True, True, False, False, True, False, True]


def test_secrets_that_a_target_echoes_are_masked_before_anything_is_kept() -> None:
    story = make_story(mask=lambda text: text.replace("s3cret", "***"))
    leaking = replace(
        answer(seconds=0),
        fault=Fault(code=Code.BAD_RESPONSE, message="the answer starts with s3cret"),
    )
    for number in range(3):
        story.takes(replace(leaking, at=at(30 * number)))

    assert "***" in story.told[0].notice.headline
    assert "s3cret" not in repr([changes.states for changes in story.said])


def fails_otherwise(story: Story, code: Code, message: str, asked: str = "") -> None:
    fault = Fault(code=code, message=message, asked=asked)
    story.takes(replace(answer(seconds=story.seconds), status=None, fault=fault))
    story.seconds += 30


def test_an_outage_that_turns_into_another_is_told(story: Story) -> None:
    """It refused the connection at night; in the morning it answers, and nonsense."""
    for _ in range(14):
        fails_otherwise(story, Code.CONNECTION_REFUSED, "api refused the connection")
    story.sees(500)

    assert story.events == ["opened", "updated"]
    assert story.told[1].notice.headline == (
        "shop: api.health fails in another way now: status is 500, expected 2xx; "
        "before: api refused the connection"
    )
    assert [one.code for one in story.told[1].notice.members[0].reasons] == [Code.STATUS]


def test_the_first_minutes_of_an_outage_are_one_alert(story: Story) -> None:
    story.sees(500, 500, 500)
    for _ in range(9):
        fails_otherwise(story, Code.TIMEOUT, "no answer")
    early = story.events
    fails_otherwise(story, Code.TIMEOUT, "no answer")

    assert early == ["opened"]
    assert story.events == ["opened", "updated"]


def test_a_clock_that_was_set_back_does_not_hide_another_cause(story: Story) -> None:
    story.seconds = 7200
    story.sees(500, 500, 500)
    story.engine.set_clock(timedelta(hours=-1), at(3600))
    story.seconds = 3630
    fails_otherwise(story, Code.TIMEOUT, "no answer")

    assert story.events == ["opened", "updated"]


def test_causes_that_take_turns_are_told_once_each(story: Story) -> None:
    for _ in range(200):
        fails_otherwise(story, Code.TIMEOUT, "no answer")
        story.sees(500)
        fails_otherwise(story, Code.DNS, "no such name")
    story.sees(200, 200)

    assert story.events == ["opened", "updated", "updated", "resolved"]
    (first, second) = (one.notice for one in story.told[1:3])
    assert second.at - first.at >= timedelta(minutes=5)


def test_a_journey_that_fails_at_another_step_is_told(story: Story) -> None:
    for _ in range(14):
        fails_otherwise(story, Code.STATUS, "step 1: 500", "GET http://shop.test/login")
    fails_otherwise(story, Code.STATUS, "step 2: 500", "POST http://shop.test/order")

    assert story.events == ["opened", "updated"]


def test_other_words_for_the_same_cause_are_no_news(story: Story) -> None:
    for number in range(40):
        fails_otherwise(story, Code.TIMEOUT, f"no answer within {number} ms")

    assert story.events == ["opened"]


def test_what_was_told_of_a_cause_outlives_a_restart(story: Story) -> None:
    for _ in range(14):
        fails_otherwise(story, Code.TIMEOUT, "no answer")
    story.sees(500)
    kept = Situation()
    for changes in story.said:
        kept.apply(
            replace(
                changes,
                incidents=tuple(decode(type(one), encode(one)) for one in changes.incidents),
            )
        )
    later = make_story(situation=kept)
    later.seconds = story.seconds + 600
    fails_otherwise(later, Code.TIMEOUT, "no answer")

    assert later.events == []


def test_a_secret_in_what_is_asked_is_masked_before_it_is_told() -> None:
    asked = replace(HEALTH, target='http://metrics.test/ up{token="s3cret"}')
    story = make_story(make_endpoint(asked), mask=lambda text: text.replace("s3cret", "***"))
    story.sees(500, 500, 500)

    (member,) = story.told[0].notice.members
    assert member.target == 'http://metrics.test/ up{token="***"}'
    assert "s3cret" not in repr(story.told)


def test_the_newest_answer_is_kept_without_its_body(story: Story) -> None:
    story.sees(200)
    latest = story.engine.latest["api"]

    assert latest.observation.body == b""
    assert latest.body_length == len(b"answered")
    assert latest.verdicts["api.health"].outcome is Outcome.PASS


def test_an_answer_is_fresh_for_two_intervals_after_its_end(story: Story) -> None:
    story.takes(answer(seconds=0, took=9))
    latest = story.engine.latest["api"]

    assert latest.fresh(at(9) + 2 * EVERY)
    assert not latest.fresh(at(9.1) + 2 * EVERY)


LATENCY = make_check(Signal.LATENCY, opens=InARow(count=2), closes=1)


def slow_window(story: Story, number: int, took: float) -> None:
    """Fill a five-minute window with ten answers, and close it by the first of the next."""
    for sample in range(10):
        story.takes(answer(seconds=300 * number + 30 * sample, took=took))


def test_two_slow_windows_open_at_the_end_of_the_second_and_since_the_start_of_the_first() -> None:
    story = make_story(make_endpoint(LATENCY))
    slow_window(story, 0, took=0.9)
    slow_window(story, 1, took=0.9)
    before = list(story.open)
    story.takes(answer(seconds=600))

    assert before == []
    assert [incident.since for incident in story.open] == [at(0)]
    assert "p95 of 10 answers in 5m is 900ms" in story.told[0].notice.headline


def test_a_fast_window_closes_what_slow_ones_opened() -> None:
    story = make_story(make_endpoint(LATENCY))
    for number, took in enumerate((0.9, 0.9, 0.1)):
        slow_window(story, number, took)
    story.takes(answer(seconds=900))

    assert story.events == ["opened", "resolved"]


def test_retries_and_faults_of_our_own_are_no_samples_of_a_window() -> None:
    story = make_story(make_endpoint(LATENCY))
    story.takes(answer(seconds=0))
    story.takes(answer(seconds=10), scheduled=False)
    story.sees("?")

    assert story.engine.waiting(LATENCY) == (1, 5)
    assert story.engine.waiting(HEALTH) is None


def test_a_window_in_which_the_monitor_saw_nothing_is_not_blamed_on_the_target() -> None:
    rule = LATENCY.rule
    assert isinstance(rule, LatencyRule)
    strict = replace(
        LATENCY,
        rule=replace(rule, on_insufficient=OnInsufficient.FAIL),
        failure_threshold=InARow(count=1),
    )
    story = make_story(make_endpoint(strict))
    slow_window(story, 0, took=0.1)
    story.seconds = 300
    story.sees(*"?" * 10)
    story.takes(answer(seconds=600))

    assert [one.klass for one in story.open if one.klass is not IncidentClass.MONITOR] == []


def test_a_window_goes_on_from_stored_samples_after_a_restart() -> None:
    story = make_story(make_endpoint(LATENCY))
    samples = [(at(30 * n), timedelta(milliseconds=900)) for n in range(4)]
    story.engine.restore_window(LATENCY, samples, story.now)

    assert story.engine.waiting(LATENCY) == (4, 5)


def test_a_removed_check_closes_with_a_note_and_its_state_is_forgotten(story: Story) -> None:
    story.sees(500, 500, 500)
    changes = story.engine.adopt(
        [make_endpoint(make_check(endpoint="other"), name="other")], make_directory(), story.now
    )

    assert story.open == []
    assert changes.forgotten == ("api.health",)
    assert [one.notice.event.value for one in changes.deliveries] == ["resolved"]
    assert "no longer configured" in changes.deliveries[0].notice.headline
    assert story.engine.latest == {}
    assert story.engine.situation.states == {}


def silence(story: Story) -> None:
    """Go on as a run that is to tell nobody."""
    story.engine.adopt([make_endpoint()], make_directory(notifiers=()), story.now)


def speak(story: Story, *notifiers: str) -> list[str]:
    """Go on as a run that tells people; give what it has to tell at once."""
    directory = make_directory(notifiers=notifiers or ("slack",))
    changes = story.engine.adopt([make_endpoint()], directory, story.now)
    story.said.append(changes)

    return [f"{one.notifier} {one.notice.event}" for one in changes.deliveries]


def test_what_opened_while_nobody_was_told_is_told_once_by_whoever_tells_next(
    story: Story,
) -> None:
    silence(story)
    story.sees(500, 500, 500, 500)

    told = [speak(story), speak(story, "slack", "mail")]
    story.sees(200, 200)

    assert told == [["slack opened"], []]
    assert story.told[0].notice.headline.startswith("shop answers 500, expected 2xx, for ")
    assert story.events[-1] == "resolved"


def test_an_end_that_came_while_nobody_was_told_is_told_to_who_knows_the_beginning(
    story: Story,
) -> None:
    story.sees(500, 500, 500)
    silence(story)
    story.sees(200, 200)

    assert speak(story, "slack", "mail") == ["slack resolved"]
    assert speak(story) == []
    assert story.told[-1].notice.headline.startswith("shop has recovered after ")


def test_what_came_and_went_while_nobody_was_told_stays_untold(story: Story) -> None:
    silence(story)
    story.sees(500, 500, 500, 200, 200)

    assert speak(story) == []


def test_an_end_of_yesterday_is_no_news(story: Story) -> None:
    story.sees(500, 500, 500)
    silence(story)
    story.sees(200, 200)
    story.seconds += timedelta(days=1, seconds=1).total_seconds()

    assert speak(story) == []


def test_a_changed_threshold_keeps_the_count(story: Story) -> None:
    story.sees(500, 500)
    story.engine.adopt([make_endpoint(make_check(opens=InARow(count=4)))], make_directory(), at(61))
    story.sees(500)
    before = list(story.open)
    story.sees(500)

    assert before == []
    assert len(story.open) == 1


def test_a_changed_expectation_restarts_the_count_but_leaves_the_incident_open() -> None:
    story = make_story(make_endpoint(), make_endpoint(name="page"))
    story.sees(500, 500, 500)
    story.sees(500, 500, endpoint="page")
    changed = [
        make_endpoint(replace(HEALTH, fingerprint="two")),
        make_endpoint(make_check(endpoint="page", fingerprint="two"), name="page"),
    ]
    story.engine.adopt(changed, make_directory(), story.now)
    story.sees(500, endpoint="page")
    (incident,) = story.open
    story.sees(200, 200)

    assert [member.check for member in incident.members] == ["api.health"]
    assert story.open == []


def test_what_was_said_under_the_old_rule_is_not_said_any_more(story: Story) -> None:
    story.sees(500)
    story.engine.adopt(
        [make_endpoint(replace(HEALTH, fingerprint="two"))], make_directory(), story.now
    )

    assert story.engine.latest["api"].verdicts == {}


def test_a_raised_severity_is_told_at_the_reload(story: Story) -> None:
    story.sees(500, 500, 500)
    worse = make_endpoint(replace(HEALTH, severity=Severity.CRITICAL))
    changes = story.engine.adopt([worse], make_directory(), story.now)

    assert [one.notice.severity for one in changes.deliveries] == [Severity.CRITICAL]


def test_a_reload_that_changes_nothing_says_nothing(story: Story) -> None:
    story.sees(500, 500, 500)

    assert not story.engine.adopt([make_endpoint()], make_directory(), story.now)


def test_a_store_that_cannot_be_written_is_told_once_and_without_secrets() -> None:
    story = make_story(mask=lambda text: text.replace("s3cret", "***"))
    failed = story.engine.store_failed("cannot write /s3cret/monitor.db", at(0))
    again = story.engine.store_failed("cannot write /s3cret/monitor.db", at(1))
    works = story.engine.store_works_again(at(60))

    assert [one.notice.event.value for one in failed.deliveries] == ["blind"]
    assert failed.deliveries[0].notice.headline == (
        "the monitor cannot rely on its store: cannot write /***/monitor.db"
    )
    assert not again
    assert [one.notice.event.value for one in works.deliveries] == ["resolved"]


@pytest.mark.parametrize(("works", "open_after"), [(True, 0), (False, 1)])
def test_a_start_with_a_store_that_works_ends_what_was_said_of_it(
    works: bool, open_after: int
) -> None:
    story = make_story(conditions=lambda: Conditions(store_works=works))
    story.engine.store_failed("disk full", at(0))
    story.engine.adopt([make_endpoint()], make_directory(), at(9))

    assert len(story.open) == open_after
    assert all(incident.members[0].check == STORE_CHECK for incident in story.open)


def test_nothing_is_decided_for_a_service_without_a_policy(story: Story) -> None:
    story.sees(500, 500, 500)

    assert not story.engine.tick(story.now)
    assert story.engine.situation.rollbacks == {}


def test_an_open_check_whose_incident_was_lost_is_told_late_rather_than_never(
    story: Story,
) -> None:
    changes = story.sees(500, 500, 500)
    remembered = Situation()
    remembered.apply(replace(changes, incidents=(), timeline=(), deliveries=()))
    later = make_story(situation=remembered)
    later.seconds = story.seconds
    later.sees(500, 500)

    assert later.events == ["opened"]
    assert later.open[0].since == at(0)


def test_what_one_call_applied_before_it_broke_is_returned_by_the_next() -> None:
    broken = True

    def conditions() -> Conditions:
        if broken:
            raise RuntimeError("a bug")

        return Conditions()

    story = make_story(conditions=conditions)
    with pytest.raises(RuntimeError):
        story.engine.adopt([make_endpoint(name="other")], make_directory(), at(0))
    story.sees(500, 500, 500, endpoint="other")
    with pytest.raises(RuntimeError):
        story.engine.adopt([], make_directory(), at(99))
    broken = False
    late = story.engine.tick(at(100))

    assert late.forgotten == ("other.health",)
    assert [one.notice.event.value for one in late.deliveries] == ["resolved"]
