"""What is said of who would be told is what happens then."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from monitor.core.alerting import explain
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import IncidentClass
from monitor.core.model.service import Directory, Maintenance, Service, Targets
from tests.support.attending import NO_TARGETS, Watch, make_route
from tests.support.watching import START

if TYPE_CHECKING:
    from monitor.core.model.service import Route

CRITICAL, HIGH, MEDIUM, LOW = Severity
OUTAGE, FINDING, MONITOR = IncidentClass

ROUTE: Final = replace(
    make_route("a", "b", severities=(CRITICAL,), remind_every=1800, escalate={300: ("c",)}),
    fallback="d",
)
TARGETS: Final = Targets(acknowledge={CRITICAL: None}, resolve={CRITICAL: timedelta(minutes=15)})


def test_everything_about_a_route_is_said_in_the_order_in_which_it_happens() -> None:
    watch = Watch(ROUTE, targets=TARGETS)

    assert explain("shop", CRITICAL, OUTAGE, watch.directory, START) == (
        ("at once", "a, b (route 1)"),
        ("after 5 min", "c, if nobody has acknowledged it by then (route 1)"),
        ("after 15 min", "all who were told, if it is not resolved by then (the target)"),
        (
            "every 30 min",
            "a, b, and whom it was escalated to, until somebody acknowledges it (route 1)",
        ),
        ("instead", "d, where one of route 1 cannot be told"),
        ("at the end", "all who were told of it"),
    )


def test_times_are_said_to_the_second() -> None:
    route = make_route("a", remind_every=60, escalate={90: ("b",)})
    watch = Watch(route, targets=NO_TARGETS)

    said = [when for when, _ in explain("shop", CRITICAL, OUTAGE, watch.directory, START)]

    assert said == ["at once", "after 1 min 30 s", "every 1 min", "at the end"]


def test_what_is_said_is_what_happens() -> None:
    watch = Watch(ROUTE, targets=TARGETS)
    watch.fail(CRITICAL)
    for _ in range(30):
        watch.wait(60)
    watch.recover(CRITICAL)

    assert watch.heard == [
        *((0, name, "opened") for name in "ab"),
        (300, "c", "escalated"),
        *((900, name, "escalated") for name in "abc"),
        *((1800, name, "reminder") for name in "abc"),
        *((1800, name, "resolved") for name in "abc"),
    ]


@pytest.mark.parametrize(
    ("routes", "said"),
    [((), "a, b, c, d (there are no routes)"), ((ROUTE,), "a, b, c, d (no route is for it)")],
)
def test_what_no_route_is_for_is_told_to_everybody(routes: tuple[Route, ...], said: str) -> None:
    watch = Watch(*routes, targets=NO_TARGETS)

    assert explain("shop", LOW, OUTAGE, watch.directory, START)[0] == ("at once", said)


def test_why_nobody_would_be_told_now_comes_first() -> None:
    directory = Directory(
        services={
            "shop": Service(name="shop", depends_on=("db",), targets=NO_TARGETS),
            "db": Service(name="db"),
        },
        notifiers=("a",),
        maintenance=(
            Maintenance(
                name="maintenance 1",
                services=frozenset({"shop"}),
                starts_at=START,
                ends_at=START + timedelta(hours=1),
                reason="new disks",
            ),
        ),
    )

    outage, finding = (
        explain("shop", HIGH, klass, directory, START) for klass in (OUTAGE, FINDING)
    )

    assert outage[:2] == (
        (
            "for now",
            "nobody is told until 2026-07-01 13:00:00 UTC: maintenance 1 (new disks)",
        ),
        ("not while", "there is an outage of db, on which it depends"),
    )
    assert [when for when, _ in finding] == ["for now", "at once", "at the end"]


def test_without_notifiers_nobody_is_told() -> None:
    directory = Directory(services={})

    assert explain("shop", HIGH, OUTAGE, directory, START) == (
        ("never", "nobody is told: no notifiers are configured"),
    )
