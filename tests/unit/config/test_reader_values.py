"""What values become, and where they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.config.document import Document, LiveText, Position, Problem, shown
from monitor.options import Secret
from tests.support.reading import complaints, read

if TYPE_CHECKING:
    from pathlib import Path

_DOUBTFUL = "which YAML may take for"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("5", 5),
        ("-5", -5),
        ("0", 0),
        ("999999999999999999", 999999999999999999),
        ("0.05", 0.05),
        ("-1.5", -1.5),
        ("1.10", 1.1),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("text", "text"),
        ("30s", "30s"),
        ("5%", "5%"),
        ("2xx", "2xx"),
        ("1.2.3", "1.2.3"),
        ("127.0.0.1:9797", "127.0.0.1:9797"),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T02:03:04Z", "2026-01-01T02:03:04Z"),
        ("-x", "-x"),
        ("=", "="),
        ("+34 600", "+34 600"),
        ("1e", "1e"),
        ("$.database.status", "$.database.status"),
        ("nobody", "nobody"),
        ('"5"', "5"),
        ("'yes'", "yes"),
        ("'1:30'", "1:30"),
        ('""', ""),
        ("!!str 010", "010"),
        ("! 5", "5"),
        ('!!int "5"', 5),
        ("!!float 5", 5),
        ("!!bool 'true'", True),
        ("!!null ''", None),
        ("!!seq [1]", [1]),
        ("!!map {a: 1}", {"a": 1}),
        ("|\n  two\n  lines", "two\nlines\n"),
        (">-\n  one\n  line", "one line"),
    ],
)
def test_a_scalar_is_what_json_would_have_or_text(
    tmp_path: Path, written: str, value: object
) -> None:
    document = read(tmp_path, f"key: {written}\n")

    assert complaints(document) == []
    assert document.data["key"] == value
    assert type(document.data["key"]) is type(value)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        *(
            (
                word,
                f"found {word}, {_DOUBTFUL} true or false: write true or false, or quote it",
            )
            for word in ("yes", "No", "ON", "off", "y", "N")
        ),
        (
            "1:30",
            f"found 1:30, {_DOUBTFUL} a number of base 60: "
            "write a duration such as 1m30s, or quote it",
        ),
        (
            "190:20:30.15",
            f"found 190:20:30.15, {_DOUBTFUL} a number of base 60: "
            "write a duration such as 1m30s, or quote it",
        ),
        (
            "010",
            f"found 010, {_DOUBTFUL} an octal number: write it without the leading 0, or quote it",
        ),
        ("0x1F", f"found 0x1F, {_DOUBTFUL} a number: write it as a decimal number, or quote it"),
        ("0b11", f"found 0b11, {_DOUBTFUL} a number: write it as a decimal number, or quote it"),
        ("0o17", f"found 0o17, {_DOUBTFUL} a number: write it as a decimal number, or quote it"),
        ("1_000", f"found 1_000, {_DOUBTFUL} a number: write it without _, or quote it"),
        ("1_0.5", f"found 1_0.5, {_DOUBTFUL} a number: write it without _, or quote it"),
        ("1e3", f"found 1e3, {_DOUBTFUL} a number: write the number out, or quote it"),
        ("1.5E-3", f"found 1.5E-3, {_DOUBTFUL} a number: write the number out, or quote it"),
        (".inf", "found .inf, which is no number to compare with: write a number, or quote it"),
        ("-.INF", "found -.INF, which is no number to compare with: write a number, or quote it"),
        (".nan", "found .nan, which is no number to compare with: write a number, or quote it"),
        ("+5", f"found +5, {_DOUBTFUL} a number: write it as 5 or 0.5, or quote it"),
        (".5", f"found .5, {_DOUBTFUL} a number: write it as 5 or 0.5, or quote it"),
        ("5.", f"found 5., {_DOUBTFUL} a number: write it as 5 or 0.5, or quote it"),
        ("00.5", f"found 00.5, {_DOUBTFUL} a number: write it as 5 or 0.5, or quote it"),
        ("9" * 5000, "found an integer of 5000 digits: quote it"),
        ("-" + "9" * 19, "found an integer of 19 digits: quote it"),
        ("0." + "1" * 99, "found a number of 101 characters: quote it"),
        (
            "0x" + "1f" * 16,
            f"found 0x1…, {_DOUBTFUL} a number: write it as a decimal number, or quote it",
        ),
        ("!!int x", "the value is not what its tag !!int says"),
        ("!!bool 1", "the value is not what its tag !!bool says"),
        (
            "!!float yes",
            "found yes, which YAML may take for true or false: write true or false, or quote it",
        ),
    ],
    ids=lambda value: value[:12],
)
def test_what_yaml_readers_disagree_about_is_refused(
    tmp_path: Path, written: str, message: str
) -> None:
    document = read(tmp_path, f"key: {written}\n")

    assert complaints(document) == [f"m.yml:1:6: key: {message}"]
    assert document.unsettled == {("key",)}
    assert document.complete


def test_off_is_a_mode_of_rollback(tmp_path: Path) -> None:
    document = read(tmp_path, "mode: off\nmodes: {high: off}\nhealth: off\n")

    assert document.data == {"mode": "off", "modes": {"high": "off"}, "health": "off"}
    assert [problem.path for problem in document.problems] == ["health"]


def test_keys_are_always_text(tmp_path: Path) -> None:
    document = read(tmp_path, "on: 1\nno: 2\n5: 3\ntrue: 4\nnull: 5\n1:30: 6\n'~': 7\n")

    assert complaints(document) == []
    assert list(document.data) == ["on", "no", "5", "true", "null", "1:30", "~"]


def test_every_value_and_key_has_its_place(tmp_path: Path) -> None:
    document = read(tmp_path, "a:\n  b: [x, {c: 1}]\n  'd': 2\n")

    assert {at: str(place) for at, place in document.positions.items()} == {
        (): "m.yml:1:1",
        ("a",): "m.yml:2:3",
        ("a", "b"): "m.yml:2:6",
        ("a", "b", 0): "m.yml:2:7",
        ("a", "b", 1): "m.yml:2:10",
        ("a", "b", 1, "c"): "m.yml:2:14",
        ("a", "d"): "m.yml:3:8",
    }
    assert {at: str(place) for at, place in document.keys.items()} == {
        ("a",): "m.yml:1:1",
        ("a", "b"): "m.yml:2:3",
        ("a", "b", 1, "c"): "m.yml:2:11",
        ("a", "d"): "m.yml:3:3",
    }
    assert len(document.positions) == 7


@pytest.mark.parametrize(
    "at", [("b",), ("a", 5), ("a", "x"), ("a", 0, "x"), ("a", -1), ("a", 0, 0)], ids=str
)
def test_what_is_not_there_has_no_place(tmp_path: Path, at: tuple[str | int, ...]) -> None:
    document = read(tmp_path, "a: [x]\n")

    assert at not in document.positions
    assert at not in document.keys
    assert () not in document.keys


def test_the_place_of_what_is_missing_is_that_of_what_should_hold_it(tmp_path: Path) -> None:
    document = read(tmp_path, "a:\n  b: 1\n")

    assert str(document.position(("a", "x", "y"))) == "m.yml:2:3"
    assert str(document.position(("z",))) == "m.yml:1:1"
    assert str(document.key_position(("a", "b"))) == "m.yml:2:3"
    assert str(document.key_position(("a", "x"))) == "m.yml:2:3"
    assert Document(data={}, positions={}, keys={}).position(("a",)) == Position("", 1, 1)


def test_columns_count_characters_not_bytes(tmp_path: Path) -> None:
    document = read(tmp_path, "é: yes\n")

    assert complaints(document)[0].startswith("m.yml:1:4: é: ")


def test_anchors_repeat_values_without_sharing_them(tmp_path: Path) -> None:
    document = read(tmp_path, "a: &all [{b: 1}]\nc: *all\nd: &word x\ne: [*word, *word]\nf: *all\n")

    assert document.data == {
        "a": [{"b": 1}],
        "c": [{"b": 1}],
        "d": "x",
        "e": ["x", "x"],
        "f": [{"b": 1}],
    }
    assert document.data["a"] is not document.data["c"]
    assert str(document.positions["c", 0, "b"]) == "m.yml:1:14"
    assert str(document.keys["c",]) == "m.yml:2:1"


def test_a_mistake_that_aliases_repeat_is_told_once(tmp_path: Path) -> None:
    document = read(tmp_path, "a: &all [yes]\nc: *all\n")

    assert len(document.problems) == 1
    assert document.unsettled == {("a", 0), ("c", 0)}


def test_problems_sort_by_place_and_read_as_one_line() -> None:
    late = Problem(file="b.yml", line=10, column=1, path="x", message="wrong")
    early = Problem.at(Position("b.yml", 9, 2), ("a", 0, "b"), "wrong")
    whole = Problem.at(Position("a.yml", 99, 1), "", "wrong")

    assert sorted([late, early, whole]) == [whole, early, late]
    assert str(early) == "b.yml:9:2: a[0].b: wrong"
    assert str(whole) == "a.yml:99:1: wrong"
    assert shown((0, "a")) == "[0].a"


def test_a_problem_is_one_short_line_whatever_it_is_about(tmp_path: Path) -> None:
    document = read(tmp_path, f'"a\\n\\e[31m": yes\n{"k" * 900}: yes\n')

    escaped, cut = complaints(document)
    assert escaped.startswith("m.yml:1:14: a\\n\\x1b[31m: found yes, ")
    assert "\n" not in escaped
    assert len(cut) < 250


def test_live_text_is_text_without_a_repr() -> None:
    live = LiveText("hush", Secret("hush"))

    assert live == "hush"
    assert repr(live) == "LiveText(***)"
