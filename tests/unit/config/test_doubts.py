"""What is allowed in a configuration, and yet is warned of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from monitor.config import find_doubts
from tests.support.configuring import configure

if TYPE_CHECKING:
    from pathlib import Path

SHOP = "endpoints:\n  shop: https://shop.example/\n"
LOG = "notifiers: {log: {log: {}}}\n"
ROLLBACK = (
    "services: {{shop: {{rollback: {{mode: {mode}, modes: {modes}, "
    "steps: [{{command: {{run: [/bin/true]}}}}]}}}}}}\n"
)


@pytest.mark.parametrize(
    ("mode", "modes", "witnesses", "doubted"),
    [
        ("automatic", "{}", "", True),
        ("observe", "{critical: automatic}", "", True),
        ("observe", "{}", "", False),
        ("automatic", "{}", "witnesses: [{tcp: '192.0.2.1:53'}]\n", False),
    ],
)
def test_only_what_acts_by_itself_needs_witnesses(
    mode: str, modes: str, witnesses: str, doubted: bool, tmp_path: Path
) -> None:
    text = SHOP + ROLLBACK.format(mode=mode, modes=modes) + witnesses + LOG

    found = find_doubts(configure(tmp_path, text))

    assert [doubt.partition(":")[0] for doubt in found] == ["witnesses"] * doubted


@pytest.mark.parametrize(("token", "doubted"), [("f" * 15, True), ("f" * 16, False)])
def test_a_token_that_can_be_guessed_is_doubted_and_not_shown(
    token: str, doubted: bool, tmp_path: Path
) -> None:
    text = f"{SHOP}web: {{tokens: [{{name: ci, scope: read, token: {token}}}]}}\n"

    found = find_doubts(configure(tmp_path, text))

    assert ["the token of ci has fewer" in doubt for doubt in found] == [True] * doubted
    assert token not in "".join(found)


def test_what_acts_by_itself_and_tells_nobody_is_doubted(tmp_path: Path) -> None:
    text = SHOP + ROLLBACK.format(mode="automatic", modes="{}")
    text += "witnesses: [{tcp: '192.0.2.1:53'}]\n"

    (doubt,) = find_doubts(configure(tmp_path, text))

    assert doubt.startswith("notifiers: there are none, and shop is rolled back automatically")


@pytest.mark.parametrize(
    ("endpoint", "doubted"),
    [
        ("http://target.invalid/", True),
        ("{tcp: 'target.invalid:80'}", True),
        ("{icmp: target.invalid}", True),
        ("https://invalid.example/", False),
        ("https://shop.example/a.invalid-name", False),
    ],
)
def test_a_stand_in_for_a_target_is_doubted(endpoint: str, doubted: bool, tmp_path: Path) -> None:
    found = find_doubts(configure(tmp_path, f"endpoints:\n  it: {endpoint}\n"))

    assert [doubt.partition(":")[0] for doubt in found] == ["endpoints"] * doubted


def test_a_window_that_is_over_for_good_is_doubted(tmp_path: Path) -> None:
    text = (
        f"{SHOP}maintenance:\n"
        "- {from: 2026-07-01T10:00Z, to: 2026-07-01T11:00Z, reason: new disks}\n"
        "- {from: 2026-07-01T12:00Z, to: 2026-07-01T13:00Z}\n"
        "- {cron: 0 2 * * *, for: 1h}\n"
    )

    found = find_doubts(configure(tmp_path, text), datetime(2026, 7, 1, 11, tzinfo=UTC))

    assert found == (
        "maintenance: maintenance 1 (new disks) was over at 2026-07-01T11:00+00:00: remove it",
    )


@pytest.mark.parametrize(("severity", "doubted"), [("high", True), ("critical", False)])
def test_a_mild_outage_that_withholds_a_worse_one_is_doubted(
    severity: str, doubted: bool, tmp_path: Path
) -> None:
    text = (
        "defaults: {severity: critical}\n"
        "endpoints:\n"
        "  shop: https://shop.example/\n"
        f"  database: {{url: https://db.example/, health: {{severity: {severity}}}}}\n"
        "services: {shop: {depends_on: [database]}, database: {}}\n"
    )

    found = find_doubts(configure(tmp_path, text))

    assert ["told as high at most, and withholds one of shop" in one for one in found] == (
        [True] * doubted
    )
