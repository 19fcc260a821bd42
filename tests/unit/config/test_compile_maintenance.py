"""Windows of maintenance and dependencies, as they are written and as they are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.configuring import configure, mistakes

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.core.model.service import Maintenance

WATCHED: Final = (
    "endpoints: {api: {service: shop, url: https://a.example/},"
    " db: {service: database, url: https://b.example/}}\n"
)


def window(folder: Path, written: str) -> Maintenance:
    """Compile one window."""
    (found,) = configure(folder, f"{WATCHED}maintenance:\n- {written}\n").directory.maintenance

    return found


def test_a_window_that_comes_once_is_read_with_its_offset_or_its_zone(tmp_path: Path) -> None:
    with_offset = window(
        tmp_path, "{from: 2026-12-01T02:00+01:00, to: 2026-12-01T04:30Z, reason: new disks}"
    )
    in_madrid = window(
        tmp_path, "{from: 2026-12-01 02:00, to: 2026-12-01T05:30:00, timezone: Europe/Madrid}"
    )

    assert with_offset.starts_at == in_madrid.starts_at == datetime(2026, 12, 1, 1, 0, tzinfo=UTC)
    assert with_offset.ends_at == in_madrid.ends_at == datetime(2026, 12, 1, 4, 30, tzinfo=UTC)
    assert with_offset.reason == "new disks"
    assert with_offset.name == "maintenance 1"


def test_a_weekly_window_is_one_by_cron(tmp_path: Path) -> None:
    weekly = window(
        tmp_path,
        "{services: [shop], weekly: {day: [sat, Sunday], at: '02:05'}, for: 90m,"
        " timezone: Europe/Madrid}",
    )

    assert weekly.cron == "5 2 * * 0,6"
    assert str(weekly.zone) == "Europe/Madrid"
    assert weekly.lasts == timedelta(minutes=90)
    assert weekly.concerns("shop")
    assert not weekly.concerns("database")


def test_a_window_without_services_is_about_all(tmp_path: Path) -> None:
    everywhere = window(tmp_path, '{cron: "0 2  * * SUN", for: 1h}')

    assert everywhere.concerns("shop")
    assert everywhere.cron == "0 2 * * SUN"
    assert everywhere.zone is UTC


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("maintenance: {}", "2:14: maintenance: expected a list, found a map"),
        ("maintenance: [3]", "2:15: maintenance[0]: expected a map, found a number"),
        (
            "maintenance: [{cron: '0 2 * * *', for: 1h, servces: [shop]}]",
            "2:44: maintenance[0].servces: unknown key servces; did you mean services?",
        ),
        (
            "maintenance: [{services: [shp], cron: '0 2 * * *', for: 1h}]",
            "2:27: maintenance[0].services[0]: unknown service shp; did you mean shop?",
        ),
        (
            "maintenance: [{services: [shop, shop], cron: '0 2 * * *', for: 1h}]",
            "2:33: maintenance[0].services[1]: shop is named twice",
        ),
        (
            "maintenance: [{services: shop, cron: '0 2 * * *', for: 1h}]",
            "2:26: maintenance[0].services: expected a list such as [shop], found text",
        ),
        (
            "maintenance: [{cron: '0 2 * *', for: 1h}]",
            "2:22: maintenance[0].cron: expected five fields: minute, hour, day of month, month,"
            ' day of week, such as 0 2 * * *; found "0 2 * *"',
        ),
        (
            "maintenance: [{cron: '0 2 * * *'}]",
            "2:16: maintenance[0].cron: expected for as well: how long it lasts",
        ),
        (
            "maintenance: [{cron: '*/30 * * * *', for: 1h}]",
            "2:43: maintenance[0].for: it would never end: it begins again before 1h are over",
        ),
        (
            "maintenance: [{cron: '0 2 * * *', for: 8d}]",
            "2:40: maintenance[0].for: expected at most 7d, found 8d: write a longer one with from"
            " and to",
        ),
        (
            "maintenance: [{cron: '0 2 * * *', for: 1h, timezone: Mars/Madrid}]",
            "2:54: maintenance[0].timezone: expected the name of a time zone such as UTC or"
            " Europe/Madrid, and 'Mars/Madrid' is unknown here",
        ),
        (
            "maintenance: [{cron: '0 2 * * *', weekly: {day: mon, at: '02:00'}, for: 1h}]",
            "2:15: maintenance[0]: expected exactly one of from and to, weekly, cron",
        ),
        (
            "maintenance: [{services: [shop]}]",
            "2:15: maintenance[0]: expected exactly one of from and to, weekly, cron",
        ),
        (
            "maintenance: [{weekly: {day: sunnday, at: '02:00'}, for: 1h}]",
            '2:30: maintenance[0].weekly.day: expected a day such as sunday, found "sunnday";'
            " did you mean sunday?",
        ),
        (
            "maintenance: [{weekly: {day: [], at: '02:00'}, for: 1h}]",
            "2:30: maintenance[0].weekly.day: expected a day such as sunday, found a list",
        ),
        (
            "maintenance: [{weekly: {day: sunday, at: '24:00'}, for: 1h}]",
            '2:42: maintenance[0].weekly.at: expected a time of day such as "02:30", found "24:00"',
        ),
        (
            "maintenance: [{from: 2026-12-01T02:00Z}]",
            "2:15: maintenance[0]: expected to as well",
        ),
        (
            "maintenance: [{from: 2026-12-01T02:00Z, to: 2026-12-01T04:00}]",
            "2:45: maintenance[0].to: expected an offset such as +01:00 or Z behind it, or a"
            " timezone",
        ),
        (
            "maintenance: [{from: tomorrow, to: 2026-12-01T04:00Z}]",
            "2:22: maintenance[0].from: expected a date and time such as 2026-12-24T22:00+01:00 or"
            ' 2026-12-24T22:00, found "tomorrow"',
        ),
        (
            "maintenance: [{from: 2026-02-30T02:00Z, to: 2026-12-01T04:00Z}]",
            '2:22: maintenance[0].from: there is no such time: "2026-02-30T02:00Z"',
        ),
        (
            "maintenance: [{from: 2026-12-01T02:00Z, to: 2026-12-01T02:00Z}]",
            "2:45: maintenance[0].to: expected a time after from, found 2026-12-01T02:00+00:00",
        ),
        (
            "maintenance: [{from: 2026-12-01T02:00Z, to: 2026-12-01T04:00Z, for: 2h}]",
            "2:69: maintenance[0].for: to says already when it ends: remove one of them",
        ),
        (
            "maintenance: [{from: 2026-12-01T02:00Z, to: 2026-12-01T04:00Z, timezone: UTC}]",
            "2:74: maintenance[0].timezone: from and to say their offsets themselves: remove it",
        ),
        (
            "services: {shop: {depends_on: database}}",
            "2:31: services.shop.depends_on: expected a list such as [database], found text",
        ),
        (
            "services: {shop: {depends_on: [databse]}}",
            "2:32: services.shop.depends_on[0]: unknown service databse; did you mean database?",
        ),
        (
            "services: {shop: {depends_on: [queue]}}",
            "2:32: services.shop.depends_on[0]: unknown service queue, expected one such as"
            " database",
        ),
        (
            "services: {shop: {depends_on: [shop]}}",
            "2:32: services.shop.depends_on[0]: shop cannot depend on itself",
        ),
        (
            "services: {shop: {depends_on: [database, database]}}",
            "2:42: services.shop.depends_on[1]: database is named twice",
        ),
        (
            "services: {shop: {depends_on: [database]}, database: {depends_on: [shop]}}",
            "2:31: services.shop.depends_on: a circle, of which nobody could say what is the cause:"
            " shop -> database -> shop",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_was_wanted(
    written: str, expected: str, tmp_path: Path
) -> None:
    assert mistakes(tmp_path, f"{WATCHED}{written}\n") == [expected]


def test_a_section_of_which_all_is_commented_out_is_none(tmp_path: Path) -> None:
    assert configure(tmp_path, f"{WATCHED}maintenance:\n").directory.maintenance == ()


def test_what_a_service_depends_on_reaches_over_others(tmp_path: Path) -> None:
    text = f"{WATCHED}services: {{shop: {{depends_on: [api]}}, api: {{depends_on: [database]}}}}\n"
    text = text.replace("db: {", "api-health: {service: api, url: https://c.example/}, db: {")

    directory = configure(tmp_path, text).directory

    assert directory.beneath == {"shop": ("api", "database"), "api": ("database",)}
    assert directory.above == {"api": ("shop",), "database": ("shop", "api")}


def test_a_service_of_an_endpoint_that_is_wrong_is_not_said_to_be_unknown(tmp_path: Path) -> None:
    text = (
        "endpoints: {api: https://a.example/, db: {service: database, url: nonsense}}\n"
        "services: {api: {depends_on: [database]}}\n"
        "maintenance: [{services: [database], cron: '0 2 * * *', for: 1h}]\n"
    )

    (only,) = mistakes(tmp_path, text)

    assert "endpoints.db.url" in only
