"""How a finished run is written, in each of its forms."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor.cli.finished import Run, tally
from monitor.cli.look import Look
from monitor.cli.output import Output, round_text, write_run
from monitor.core.model.endpoint import HealthRule
from monitor.core.model.observation import Code
from monitor.core.model.verdict import Outcome, Reason
from monitor.core.report import CheckReport
from tests.support.judging import NOON, answer, make_check
from tests.support.watching import make_endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

PLAIN = Look()


def report(name: str = "api.health", verdict: Outcome = Outcome.PASS, **parts: Any) -> CheckReport:
    check = replace(make_check(HealthRule(expectations=())), id=name, service="store")
    wanted: dict[str, Any] = {
        "check": check,
        "endpoint": make_endpoint(check),
        "verdict": verdict,
        "state": verdict,
        "consecutive_failures": 0,
        "reasons": (),
        "observation": answer(duration=timedelta(milliseconds=12)),
    }

    return CheckReport(**wanted | parts)


def reason(message: str, at: str = "") -> Reason:
    return Reason(code=Code.STATUS, message=message, expected="2xx", found="500", at=at)


def failing(
    message: str = "status is 500, expected 2xx", at: str = "", **parts: Any
) -> CheckReport:
    wanted: dict[str, Any] = {"reasons": (reason(message, at),), "consecutive_failures": 1}

    return report(verdict=Outcome.FAIL, **wanted | parts)


def a_run(*reports: CheckReport, verdict: Outcome = Outcome.FAIL, cycles: int = 1) -> Run:
    return Run(
        verdict=verdict,
        started_at=NOON,
        finished_at=NOON + timedelta(seconds=2),
        environment="production",
        cycles=cycles,
        reports=reports,
    )


def lines(*reports: CheckReport, look: Look = PLAIN) -> list[str]:
    return write_run(a_run(*reports), Output.TEXT, look).splitlines()


# Text


def test_names_times_and_reasons_stand_below_one_another() -> None:
    found = lines(
        report(),
        failing(check=replace(report().check, id="homepage.health"), state=Outcome.UNKNOWN),
        report("x.latency.p95", Outcome.WAITING, waiting=(7, 20), judged_at=NOON),
    )

    assert found == [
        "✔ pass     api.health          12ms",
        "✘ FAIL     homepage.health     12ms  status is 500, expected 2xx",
        "                                     1 in a row, below its threshold",
        "… waiting  x.latency.p95       12ms  waiting (7 of 20 samples, judged after 12:00 UTC)",
        "",
        "✘ FAIL  3 checks: 1 pass, 1 fail, 1 waiting; 1 round in 2s",
    ]


def test_an_interrupted_run_says_so() -> None:
    run = replace(a_run(report(), verdict=Outcome.PASS), interrupted=True)

    text = write_run(run, Output.TEXT, PLAIN)

    assert text.splitlines()[-1] == "✔ pass  1 check: 1 pass; 1 round in 2s, interrupted"
    assert json.loads(write_run(run, Output.JSON, PLAIN))["interrupted"] is True


@pytest.mark.parametrize(
    ("reports", "line"),
    [
        ([report()], "nothing fails"),
        ([report(), failing()], "1 fails: api.health: status is 500, expected 2xx"),
        (
            [failing()] * 5,
            "5 fail: api.health: status is 500, expected 2xx; api.health; api.health and 2 more",
        ),
        (
            [failing(), report(verdict=Outcome.UNKNOWN, note="stood still")],
            "1 fails: api.health: status is 500, expected 2xx; "
            "1 is unknown: api.health: stood still",
        ),
    ],
    ids=["pass", "one", "many", "both"],
)
def test_a_round_is_one_line(reports: list[CheckReport], line: str) -> None:
    assert round_text(3, 10, reports) == f"round 3 of 10: {line}"


def test_where_it_is_narrow_reasons_stand_below() -> None:
    found = lines(
        failing("the answer was " + "very " * 20 + "long", state=Outcome.FAIL),
        look=Look(width=60),
    )

    assert found[0] == "✘ FAIL     api.health     12ms"
    assert found[1].startswith("           the answer was very very")
    assert found[2].startswith("           very")
    assert max(map(len, found)) <= 60


def test_a_check_that_was_never_probed_took_no_time() -> None:
    (first, *_) = lines(report(verdict=Outcome.WAITING, observation=None, note="not probed yet"))

    assert first == "… waiting  api.health           not probed yet"


def test_what_looks_like_markup_is_shown_as_it_is() -> None:
    (first, *_) = lines(failing("found [bold]x[/bold] and [/]", state=Outcome.FAIL))

    assert first.endswith("found [bold]x[/bold] and [/]")


def test_color_is_only_where_it_is_wanted() -> None:
    colored = write_run(a_run(failing()), Output.TEXT, Look(color=True, width=80))
    plain = write_run(a_run(failing()), Output.TEXT, Look(width=80))

    assert "\x1b[" in colored
    assert "\x1b[" not in plain


@pytest.mark.parametrize(
    ("reports", "said"),
    [
        ([], "0 checks"),
        ([report()], "1 check: 1 pass"),
        ([report(), failing(), failing()], "3 checks: 1 pass, 2 fail"),
        ([report(verdict=Outcome.UNKNOWN)], "1 check: 1 unknown"),
    ],
)
def test_the_tally_counts_each_outcome(reports: Sequence[CheckReport], said: str) -> None:
    assert tally(reports) == said


# JSON


def test_json_says_when_where_and_how_often() -> None:
    found = json.loads(write_run(a_run(report(), cycles=3), Output.JSON, PLAIN))

    assert found["verdict"] == "fail"
    assert found["started_at"] == "2026-07-01T12:00:00+00:00"
    assert found["finished_at"] == "2026-07-01T12:00:02+00:00"
    assert (found["environment"], found["cycles"]) == ("production", 3)
    assert found["checks"][0]["duration_seconds"] == 0.012


# JUnit


def junit(*reports: CheckReport) -> ET.Element:
    return ET.fromstring(write_run(a_run(*reports), Output.JUNIT, PLAIN))


def test_junit_counts_failures_errors_and_what_is_skipped() -> None:
    suites = junit(
        report("a.health"),
        failing(),
        report("b.health", Outcome.UNKNOWN, note="stood still"),
        report("c.latency.max", Outcome.WAITING, waiting=(1, 20)),
    )

    (suite,) = suites
    for one in (suites, suite):
        counts = [one.get(name) for name in ("tests", "failures", "errors", "skipped", "time")]
        assert counts == ["4", "1", "1", "1", "2.000"]
    assert suite.get("name") == "production"
    assert suite.get("timestamp") == "2026-07-01T12:00:00"
    assert [case.get("classname") for case in suite] == ["store"] * 4
    assert [[child.tag for child in case] for case in suite] == [
        [],
        ["failure"],
        ["error"],
        ["skipped"],
    ]
    assert suite[2][0].get("message") == "stood still"
    assert suite[3][0].get("message") == "waiting (1 of 20 samples)"


def test_junit_tells_the_first_reason_and_then_all() -> None:
    one = failing(reasons=(reason("first <&>"), reason("second")), state=Outcome.FAIL)

    failure = junit(one)[0][0][0]

    assert failure.get("message") == "first <&>"
    assert failure.get("type") == "status"
    assert failure.text == "first <&>\nsecond"


@pytest.mark.parametrize("char", ["\x00", "\x1b", "\x0b", "\ufffe", "\ud800", "\x85"])
def test_junit_stays_xml_whatever_a_target_answered(char: str) -> None:
    failure = junit(failing(f"found {char}!"))[0][0][0]

    assert failure.get("message") == "found �!"


# GitHub


def github(*reports: CheckReport) -> list[str]:
    return write_run(a_run(*reports), Output.GITHUB, PLAIN).splitlines()


def test_github_points_at_the_line_that_was_not_met() -> None:
    (first, summary) = github(failing(at="config/monitor.yml:41:7", state=Outcome.FAIL))

    assert first == (
        "::error file=config/monitor.yml,line=41,col=7,title=api.health fails"
        "::status is 500, expected 2xx"
    )
    assert summary == "fail: 1 check: 1 fail"


def test_github_cannot_be_made_to_run_a_command_by_a_target() -> None:
    evil = "100% done\r\n::set-output name=x::y\n::stop-commands::t"

    found = github(failing(evil, at="a,b:c.yml:1:2", state=Outcome.FAIL))

    assert len(found) == 2
    assert found[0].endswith("::100%25 done%0D%0A::set-output name=x::y%0A::stop-commands::t")


def test_github_warns_of_what_is_unknown_and_is_silent_about_the_rest() -> None:
    found = github(
        report(),
        report("b.health", Outcome.UNKNOWN, note="stood still"),
        report("c.health", Outcome.WAITING),
    )

    assert found[0] == "::warning title=b.health is unknown::stood still"
    assert len(found) == 2


@pytest.mark.parametrize("at", ["", "nowhere", "file:x:y", ":1:2", "command line"])
def test_github_names_no_place_that_it_does_not_know(at: str) -> None:
    assert github(failing(at=at, state=Outcome.FAIL))[0].startswith("::error title=")
