"""The page of the log names each event there is, with its level and facts, and no other."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = Path(__file__).parents[2]
_LEVELS: Final = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
}
_ROW: Final = re.compile(r"^\| `(\w+)` \| (\w+) \|(.*?)\| (.+) \|$", re.MULTILINE)
_NO_FACTS: Final = ("exc_info",)


@dataclass
class Event:
    """What is logged under one name, from wherever."""

    levels: set[str] = field(default_factory=set)
    facts: set[str] = field(default_factory=set)
    complete: bool = True  # false where facts come from a dictionary


def names(node: ast.expr, where: str) -> list[str]:
    """Give the names that an event may have: constants only, so that they can be searched for."""
    match node:
        case ast.Constant(value=str(name)):
            return [name]
        case ast.IfExp(body=one, orelse=other):
            return [*names(one, where), *names(other, where)]
    raise AssertionError(f"{where}: expected the name of an event as a constant")


def calls() -> Iterator[tuple[str, ast.Call, str]]:
    """Give each call of a log in the program: where, the call, and its level."""
    for path in sorted((_ROOT / "monitor").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="_log"), attr=attr)):
                    assert attr in _LEVELS, f"{path}:{node.lineno}: {attr}"
                    yield f"{path.relative_to(_ROOT)}:{node.lineno}", node, _LEVELS[attr]


def logged() -> dict[str, Event]:
    found: dict[str, Event] = {}
    for where, call, level in calls():
        for name in names(call.args[0], where):
            event = found.setdefault(name, Event())
            event.levels.add(level)
            event.facts |= {one.arg for one in call.keywords if one.arg} - set(_NO_FACTS)
            event.complete &= all(one.arg for one in call.keywords)
    return found


def documented() -> dict[str, tuple[str, set[str]]]:
    """Give the level and the facts of each event that has a row on the page."""
    rows = _ROW.findall((_ROOT / "docs" / "log.md").read_text())
    assert len({row[0] for row in rows}) == len(rows), "an event has two rows"

    return {name: (level, set(re.findall(r"`(\w+)`", facts))) for name, level, facts, _ in rows}


def test_every_event_has_a_row_and_every_row_an_event() -> None:
    assert sorted(documented()) == sorted(logged())


def test_an_event_has_one_level_and_it_is_the_one_that_is_written() -> None:
    assert {name: {level} for name, (level, _) in documented().items()} == {
        name: event.levels for name, event in logged().items()
    }


def test_every_fact_of_an_event_is_named() -> None:
    rows = documented()
    for name, event in logged().items():
        written = rows[name][1]
        assert event.facts <= written, f"{name}: the page lacks {event.facts - written}"
        if event.complete:
            assert event.facts == written, f"{name}: there is no {written - event.facts}"


def test_the_names_are_of_one_style() -> None:
    assert [name for name in logged() if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []


def test_nothing_else_writes_the_log() -> None:
    """A second name for a logger would escape this page."""
    makers = {
        path.relative_to(_ROOT / "monitor")
        for path in (_ROOT / "monitor").rglob("*.py")
        if re.search(r"\bLog\(\)", path.read_text())
        and not re.search(r"^_log = Log\(\)$", path.read_text(), re.MULTILINE)
    }

    assert makers == set()
