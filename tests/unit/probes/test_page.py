"""The page about the kinds of probes: each kind has its section, told in one order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from monitor.probes import KINDS

PAGE = (Path(__file__).parents[3] / "docs" / "probes.md").read_text()
TOLD = ("Passes", "Looks at", "Fails as", "Unknown where", "Series")


def section(kind: str) -> str:
    return PAGE.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]


def bullet(kind: str, begin: str) -> str:
    (line,) = re.findall(rf"^- {begin}.*", section(kind), re.MULTILINE)

    return str(line)


def test_the_sections_follow_the_table_of_kinds_and_leave_none_out() -> None:
    table = PAGE.partition("\n## ")[0]
    linked = re.findall(r"\[`(\w+)`\]\(#(\w+)\)", table)
    sections = [name for name in re.findall(r"^## (.*)$", PAGE, re.MULTILINE) if name in KINDS]

    assert [name for name, _ in linked] == [anchor for _, anchor in linked] == sections
    assert set(sections) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_told_by_the_same_points_in_one_order(kind: str) -> None:
    points = re.findall(r"^- (\w+(?: at| as| where)?)", section(kind), re.MULTILINE)
    first = [
        point.removesuffix(" where") if point.startswith("Pass") else point for point in points
    ]

    assert tuple(first[: len(TOLD)]) == TOLD
    assert not set(first[len(TOLD) :]) & set(TOLD)


@pytest.mark.parametrize("kind", KINDS)
def test_the_series_that_a_section_names_are_those_that_the_kind_has(kind: str) -> None:
    named = re.findall(r"`(probe_\w*[a-z])(?:\{[^}`]*\})?`", bullet(kind, "Series"))

    assert sorted(named) == sorted(KINDS[kind].series)


@pytest.mark.parametrize("kind", KINDS)
def test_a_section_names_all_that_expectations_may_look_at(kind: str) -> None:
    told = bullet(kind, "Looks at")
    sources = {str(source).partition(".")[0] for source in KINDS[kind].sources}

    assert [source for source in sources if f"`{source}`" not in told] == []
