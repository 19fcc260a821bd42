"""What is known now, as other people's scripts read it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from monitor.core.engine import Conditions
from monitor.core.model.changes import Changes
from monitor.core.model.deploy import DeployKind, DeployState
from monitor.core.model.endpoint import InARow, Signal
from monitor.core.model.notice import DeliveryState
from monitor.core.model.observation import Phase
from monitor.core.model.rollback import Mode, Rollback, RollbackState, Step, StepState
from monitor.core.model.verdict import Outcome
from monitor.core.report import check_json, overall, report_checks, status_json
from tests.support.notices import make_delivery
from tests.support.rolling import make_deploy, make_rollback
from tests.support.watching import (
    Story,
    answer,
    at,
    make_check,
    make_directory,
    make_endpoint,
    make_story,
)


@pytest.fixture
def story() -> Story:
    return make_story()


def outcomes(story: Story, seconds: float | None = None) -> list[Outcome]:
    now = story.now if seconds is None else at(seconds)

    return [
        report.verdict
        for report in report_checks(story.engine, story.engine.endpoints.values(), now)
    ]


def test_a_check_is_written_as_promised(story: Story) -> None:
    story.takes(replace(answer(500, seconds=0), phases={Phase.CONNECT: timedelta(milliseconds=20)}))
    (report,) = report_checks(story.engine, story.engine.endpoints.values(), at(1))

    assert check_json(report) == {
        "check": "api.health",
        "endpoint": "api",
        "service": "shop",
        "severity": "high",
        "target": "http://api.test/",
        "verdict": "fail",
        "state": "unknown",
        "consecutive_failures": 1,
        "reasons": [
            {
                "code": "status",
                "message": "status is 500, expected 2xx",
                "expected": "2xx",
                "found": "500",
                "at": "",
            }
        ],
        "duration_seconds": 0.05,
        "phases": {"connect": 0.02},
    }


def test_the_state_is_what_the_thresholds_make_of_it(story: Story) -> None:
    story.sees(500, 500, 500, 200)
    (report,) = report_checks(story.engine, story.engine.endpoints.values(), story.now)

    assert (report.verdict, report.state) == (Outcome.PASS, Outcome.FAIL)


def test_a_check_that_was_never_probed_is_waiting(story: Story) -> None:
    (report,) = report_checks(story.engine, story.engine.endpoints.values(), at(0))
    written = check_json(report)

    assert written["verdict"] == "waiting"
    assert written["note"] == "not probed yet"
    assert (written["duration_seconds"], written["phases"]) == (None, {})


def test_a_result_older_than_two_intervals_is_unknown(story: Story) -> None:
    story.takes(answer(seconds=0))

    assert outcomes(story, 60) == [Outcome.PASS]
    assert outcomes(story, 61) == [Outcome.UNKNOWN]


def test_in_a_oneshot_run_no_result_is_too_old() -> None:
    story = make_story(conditions=lambda: Conditions(oneshot=True))
    story.takes(answer(seconds=0))

    assert outcomes(story, 3600) == [Outcome.PASS]


def test_what_an_earlier_process_saw_counts_while_it_is_recent(story: Story) -> None:
    story.sees(500)
    later = make_story(situation=story.engine.situation)

    assert outcomes(later, 60) == [Outcome.FAIL]
    assert outcomes(later, 600) == [Outcome.UNKNOWN]


def test_what_an_earlier_process_saw_under_another_rule_does_not_count(story: Story) -> None:
    story.sees(500)
    changed = make_endpoint(make_check(fingerprint="two"))
    later = make_story(changed, situation=story.engine.situation)

    assert outcomes(later, 60) == [Outcome.WAITING]


def test_a_window_that_fills_is_waiting_and_says_how_far_it_is() -> None:
    latency = make_check(Signal.LATENCY, opens=InARow(count=1))
    story = make_story(make_endpoint(make_check(), latency))
    story.sees(200, 200)
    health, window = report_checks(story.engine, story.engine.endpoints.values(), story.now)
    written = check_json(window)

    assert health.waiting is None
    assert written["verdict"] == "waiting"
    assert written["waiting"] == {"samples": 2, "needed": 5, "ends_at": at(300).isoformat()}
    assert "note" not in written


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ([], Outcome.PASS),
        ([Outcome.PASS, Outcome.WAITING], Outcome.PASS),
        ([Outcome.PASS, Outcome.UNKNOWN], Outcome.UNKNOWN),
        ([Outcome.UNKNOWN, Outcome.FAIL, Outcome.PASS], Outcome.FAIL),
    ],
)
def test_the_worst_verdict_counts_and_waiting_does_not(
    story: Story, verdicts: list[Outcome], said: Outcome
) -> None:
    (report,) = report_checks(story.engine, story.engine.endpoints.values(), at(0))

    assert overall(replace(report, verdict=verdict) for verdict in verdicts) is said


def test_the_status_holds_incidents_deploys_and_rollbacks_and_is_json(story: Story) -> None:
    story.engine.announce(
        "shop", version="v2", kind=DeployKind.PLANNED, state=DeployState.FINISHED, now=at(0)
    )
    story.sees(500, 500, 500)
    rollback = Rollback(
        id="r-1",
        service="shop",
        deploy_id="v2",
        incident=story.open[0].id,
        state=RollbackState.EXECUTING,
        mode=Mode.AUTOMATIC,
        severity=story.open[0].severity,
        reason="api.health is failing",
        triggers=("api.health",),
        tripped_at=at(60),
        verify_within=timedelta(minutes=5),
        started_at=at(60),
    )
    step = Step(
        key="r-1.1.1",
        rollback="r-1",
        level=1,
        number=1,
        kind="command",
        state=StepState.DONE,
        attempt=1,
        at=at(61),
        detail="exit 0",
        output="restored",
    )
    story.engine.absorb(Changes(rollbacks=(rollback,), steps=(step,)), at(61))
    status = json.loads(json.dumps(status_json(story.engine, story.now)))

    assert status["verdict"] == "fail"
    assert (status["environment"], status["location"]) == ("production", "eu-west")
    assert [check["check"] for check in status["checks"]] == ["api.health"]
    (incident,) = status["incidents"]
    assert (incident["class"], incident["phase"]) == ("outage", "identified")
    assert incident["rollback"] == "r-1"
    assert incident["since"] == at(0).isoformat()
    assert incident["checks"][0]["failures"] == 3
    assert [entry["event"] for entry in incident["timeline"]] == [
        "opened",
        "rollback_step_done",
        "rollback_executing",
    ]
    assert [deploy["version"] for deploy in status["deploys"]] == ["v2"]
    assert status["rollbacks"][0]["steps"][0]["output"] == "restored"
    assert status["rollbacks"][0]["why"] == rollback.reason
    assert status["undelivered"] == 2


@pytest.mark.parametrize("done", [None, at(30)])
def test_a_deploy_says_when_it_was_rolled_back(done: datetime | None) -> None:
    story = make_story()
    story.engine.situation.apply(
        Changes(
            deploys=(make_deploy("v2", state=DeployState.BAD),),
            rollbacks=(
                make_rollback(deploy_id="v2@noon", effect_done_at=done),
                make_rollback("of another", effect_done_at=at(90)),
            ),
        )
    )

    (deploy,) = status_json(story.engine, at(100))["deploys"]

    assert deploy["rolled_back_at"] == (done and done.isoformat())


def test_of_what_is_over_only_the_newest_are_shown() -> None:
    story = make_story(
        make_endpoint(make_check(opens=InARow(count=1), closes=1)), directory=make_directory()
    )
    for _ in range(25):
        story.sees(500, 200)
        story.seconds += 600
    story.sees(500)
    status = status_json(story.engine, story.now)

    assert len(status["incidents"]) == 21
    assert status["incidents"][0]["resolved_at"] is None
    assert status["incidents"][1]["opened_at"] > status["incidents"][2]["opened_at"]


def test_notices_that_were_given_up_within_a_day_are_counted() -> None:
    story = make_story()
    dead = [
        make_delivery(
            id=f"d-{hours}", state=DeliveryState.DEAD, queued_at=at(0) - timedelta(hours=hours)
        )
        for hours in (1, 23, 25)
    ]
    story.engine.situation.apply(Changes(deliveries=tuple(dead)))

    status = status_json(story.engine, at(0))

    assert (status["undelivered"], status["given_up"]) == (0, 2)


def test_each_notifier_says_what_it_has_not_told() -> None:
    story = make_story()
    rows = [
        make_delivery(id="dead", state=DeliveryState.DEAD),
        make_delivery(id="late", queued_at=at(0) - timedelta(hours=2)),
        make_delivery(id="later", queued_at=at(0) - timedelta(hours=1)),
        make_delivery(id="orphan", notifier="gone", queued_at=at(0)),
    ]
    story.engine.situation.apply(Changes(deliveries=tuple(rows)))

    backlogs = {one.pop("notifier"): one for one in status_json(story.engine, at(0))["notifiers"]}

    assert backlogs["oncall"] == {
        "undelivered": 2,
        "oldest_undelivered_at": (at(0) - timedelta(hours=2)).isoformat(),
        "dead_letters": 1,
    }
    assert backlogs["gone"]["undelivered"] == 1
