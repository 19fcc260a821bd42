"""Many services that begin to fail at one time: notices say so, and whom an outage affects."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.core import wording
from monitor.core.common_cause import is_common
from monitor.core.model.service import Service
from tests.support.depending import Chain
from tests.support.watching import make_directory, make_endpoint, make_story


def make_town(*services: Service) -> Chain:
    """Five services, by default of which none depends on another."""
    names = ("shop", "api", "database", "mail", "queue")
    known = {name: Service(name=name) for name in names} | {one.name: one for one in services}

    return Chain(
        make_story(
            *(make_endpoint(name=name, service=name) for name in names),
            directory=make_directory(*known.values()),
        )
    )


@pytest.mark.parametrize(
    ("failing", "services", "common"),
    [(2, 3, False), (3, 5, True), (3, 6, False), (4, 6, True), (3, 3, True)],
)
def test_more_than_half_and_at_least_three_hardly_fail_each_by_itself(
    failing: int, services: int, common: bool
) -> None:
    assert is_common(failing, services) is common


def test_the_third_of_five_says_that_there_is_probably_one_cause() -> None:
    town = make_town()
    town.fail("shop")
    town.fail("api")
    town.fail("mail")

    assert [row.notice.common_cause for row in town.told] == [
        "",
        "",
        "3 of 5 services fail since 2026-07-01 12:00:00 UTC",
    ]
    facts = dict(wording.facts(town.told[-1].notice))
    assert facts["Common cause likely"] == "3 of 5 services fail since 2026-07-01 12:00:00 UTC"


def test_what_failed_long_before_has_another_cause() -> None:
    town = make_town()
    town.fail("shop")
    town.fail("api")
    town.seconds += 600
    town.fail("mail")

    assert town.told[-1].notice.common_cause == ""


def test_those_that_depend_on_an_outage_are_affected_and_no_second_cause() -> None:
    town = make_town(
        *(Service(name=name, depends_on=("database",)) for name in ("shop", "api", "mail"))
    )
    town.fail("database")
    town.fail("shop", "api", "mail")

    notice = town.told[-1].notice
    assert notice.service == "database"
    assert notice.common_cause == ""
    assert len(notice.affected) == 2
    facts = dict(wording.facts(replace(notice, affected=("shop", "api"))))
    assert facts["Also affected"] == "shop, api"
