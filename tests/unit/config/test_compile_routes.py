"""Routes and targets, as they are written and as they are refused."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from monitor.config import find_doubts
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import IncidentClass
from monitor.core.model.service import Escalation, Route, Targets
from tests.support.configuring import configure, mistakes

if TYPE_CHECKING:
    from pathlib import Path

WATCHED: Final = """\
endpoints: {api: {service: shop, url: "https://a.example/"}, db: {url: "https://b.example/"}}
notifiers: {oncall: {log: {}}, pager: {log: {}}, record: {log: {}}}
"""


def routed(*routes: str) -> str:
    return WATCHED + "routes:\n" + "".join(f"- {route}\n" for route in routes)


def test_a_route_is_read_with_all_that_it_says(tmp_path: Path) -> None:
    written = (
        "{match: {severity: [critical, high], service: shop, class: outage}, notify: [oncall],"
        " continue: true, fallback: pager, remind_every: 30m,"
        " escalate: [{after: 10m, notify: record}, {after: 5m, notify: [pager, record]}]}"
    )

    (route,) = configure(tmp_path, routed(written)).directory.routes

    assert route == Route(
        name="route 1",
        notify=("oncall",),
        severities=frozenset({Severity.CRITICAL, Severity.HIGH}),
        services=frozenset({"shop"}),
        classes=frozenset({IncidentClass.OUTAGE}),
        go_on=True,
        fallback="pager",
        remind_every=timedelta(minutes=30),
        escalate=(
            Escalation(after=timedelta(minutes=5), notify=("pager", "record")),
            Escalation(after=timedelta(minutes=10), notify=("record",)),
        ),
    )


def test_targets_are_read_by_severity_and_may_be_turned_off(tmp_path: Path) -> None:
    text = WATCHED + (
        "services: {shop: {targets: {acknowledge: {critical: 2m, low: never},"
        " resolve: {high: 1h}}}}\n"
    )

    services = configure(tmp_path, text).directory.services

    assert services["shop"].targets == Targets(
        acknowledge={Severity.CRITICAL: timedelta(minutes=2), Severity.LOW: None},
        resolve={Severity.HIGH: timedelta(hours=1)},
    )
    assert services["db"].targets == Targets()


@pytest.mark.parametrize("text", ["", "routes:\n", "routes: []\n"])
def test_without_routes_there_are_none(text: str, tmp_path: Path) -> None:
    assert configure(tmp_path, WATCHED + text).directory.routes == ()


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        (["{notify: [oncal]}"], "[0].notify[0]: unknown notifier oncal; did you mean oncall?"),
        (["{notify: pagr}"], "[0].notify: unknown notifier pagr; did you mean pager?"),
        (["{notify: oncall, fallback: recrd}"], "[0].fallback: unknown notifier recrd; did you"),
        (
            ["{notify: oncall, escalate: [{after: 5m, notify: [pagers]}]}"],
            "[0].escalate[0].notify[0]: unknown notifier pagers; did you mean pager?",
        ),
        (["{notify: []}"], "[0].notify: expected at least one"),
        (["{match: {severity: low}}"], "[0]: notify is missing"),
        (["{notify: [oncall, oncall]}"], "[0].notify[1]: oncall is named twice"),
        (["{notify: oncall, fallback: oncall}"], "[0].fallback: oncall is told by this route any"),
        (
            ["{match: {service: shpo}, notify: oncall}"],
            "[0].match.service: unknown service shpo; did you mean shop?",
        ),
        (
            ["{match: {severity: [high, crit]}, notify: oncall}"],
            "[0].match.severity[1]: expected one of critical, high, medium, low, found",
        ),
        (
            ["{match: {class: blind}, notify: oncall}"],
            "[0].match.class: expected one of outage, finding, monitor, found",
        ),
        (["{match: {severity: []}, notify: oncall}"], "[0].match.severity: expected at least one"),
        (["{match: {tag: x}, notify: oncall}"], "[0].match.tag: unknown key tag, expected one of"),
        (["{notify: oncall, remind_every: 5s}"], "[0].remind_every: expected 1m to 30d, found 5s"),
        (
            [
                "{notify: oncall,"
                " escalate: [{after: 5m, notify: pager}, {after: 300s, notify: record}]}"
            ],
            "[0].escalate: two steps come after 5m: expected one with all whom it tells",
        ),
        (
            ["{match: {class: monitor, service: shop}, notify: oncall}"],
            "[0].match: nothing ever matches: class monitor is what happens to production-monitor",
        ),
        (
            ["{notify: oncall}", "{match: {severity: critical}, notify: pager}"],
            "[1]: nothing ever comes here: route 1 takes all that it matches; put this one before",
        ),
        (
            [
                "{match: {service: [shop, db]}, notify: oncall}",
                "{match: {class: monitor}, notify: oncall}",
                "{notify: pager}",
            ],
            "[2]: nothing ever comes here: route 1, route 2 take all that it matches",
        ),
    ],
)
def test_a_route_that_cannot_be_meant_is_refused_at_its_place(
    routes: list[str], found: str, tmp_path: Path
) -> None:
    (mistake,) = mistakes(tmp_path, routed(*routes))

    assert mistake.partition(": ")[2].startswith(f"routes{found}")


@pytest.mark.parametrize(
    "routes",
    [
        ["{notify: oncall, continue: true}", "{notify: pager}"],
        ["{match: {severity: critical}, notify: oncall}", "{notify: pager}"],
        ["{match: {service: [shop, db]}, notify: oncall}", "{notify: pager}"],
        ["{match: {class: [outage, finding]}, notify: oncall}", "{notify: pager}"],
        ["{match: {service: production-monitor}, notify: oncall}", "{notify: pager}"],
    ],
)
def test_a_route_to_which_anything_can_come_is_taken(routes: list[str], tmp_path: Path) -> None:
    assert len(configure(tmp_path, routed(*routes)).directory.routes) == 2


def test_a_target_that_is_neither_a_duration_nor_never_is_refused(tmp_path: Path) -> None:
    text = WATCHED + "services: {shop: {targets: {acknowledge: {critical: soon}, resolve: 5m}}}\n"

    first, second = mistakes(tmp_path, text)

    assert (
        'targets.acknowledge.critical: expected a duration such as 5m, or never, found "' in first
    )
    assert "targets.resolve: expected a map such as {critical: 15m}, found text" in second


@pytest.mark.parametrize(
    ("routes", "doubted"),
    [
        ([], []),
        (["{notify: [oncall, pager, record]}"], []),
        (["{notify: oncall, fallback: pager}"], ["notifiers.record: no route leads to it"]),
        (
            ["{notify: oncall, escalate: [{after: 5m, notify: [pager, record]}]}"],
            [],
        ),
        (
            ["{match: {severity: [critical, high, medium]}, notify: oncall}"],
            ["routes: none is for a low outage of any other service (and 2 other sorts"],
        ),
        (
            ["{match: {class: [outage, finding]}, notify: oncall}"],
            ["routes: none is for critical trouble of the monitor itself (and 3 other sorts"],
        ),
        (
            ["{match: {service: shop}, notify: oncall}", "{match: {service: db}, notify: oncall}"],
            ["routes: none is for critical trouble of the monitor itself (and 3 other sorts"],
        ),
    ],
)
def test_who_is_told_by_chance_or_never_is_doubted(
    routes: list[str], doubted: list[str], tmp_path: Path
) -> None:
    found = find_doubts(configure(tmp_path, routed(*routes) if routes else WATCHED))

    assert len(found) == len(doubted)
    for text, beginning in zip(found, doubted, strict=True):
        assert text.startswith(beginning)
