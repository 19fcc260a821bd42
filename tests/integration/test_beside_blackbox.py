"""Beside Debian's blackbox_exporter: its modules, imported, say the same of the same servers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import pytest_asyncio
import yaml

from tests.support.beside import Scenario, differences, run_beside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.beside import Beside

PAGE: Final = Path(__file__).parents[2] / "docs" / "migrating.md"
SCENARIOS: Final = [
    Scenario(name=f"{prober}-{name}", prober=prober, **what)
    for prober, scenarios in yaml.safe_load(
        Path(__file__).with_name("beside_blackbox.yml").read_text()
    ).items()
    for name, what in scenarios.items()
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def beside(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Beside]:
    async with run_beside(tmp_path_factory.mktemp("beside"), SCENARIOS) as both:
        yield both


@pytest.mark.needs("prometheus-blackbox-exporter")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_both_say_the_same_but_for_what_is_explained(
    beside: Beside, scenario: Scenario
) -> None:
    theirs, ours = await beside.theirs(scenario), await beside.ours(scenario)

    known = set(scenario.differs or {})
    agrees = scenario.success ^ ("probe_success" in known)
    assert theirs["probe_success", frozenset()] == scenario.success
    assert ours["probe_success", frozenset()] == agrees
    assert differences(theirs, ours) == known, (theirs, ours)


def test_each_difference_is_explained_and_there_are_enough_scenarios() -> None:
    page = PAGE.read_text()
    reasons = {why for one in SCENARIOS for why in (one.differs or {}).values()}

    assert len(SCENARIOS) >= 60
    assert {one.prober for one in SCENARIOS} == {"http", "tcp", "dns", "grpc", "icmp"}
    assert [why for why in reasons if f"| {why} |" not in page] == []
