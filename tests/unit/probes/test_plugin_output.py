"""What monitoring plugins say: figures in base units, and nothing that they say is a trap."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.probes._command.plugin import MOST_FIGURES, Figure, read_plugin_output


def figures(data: str) -> tuple[Figure, ...]:
    return read_plugin_output(f"OK | {data}").figures


@pytest.mark.parametrize(
    ("written", "value", "unit"),
    [
        ("1.5s", 1.5, "seconds"),
        ("250ms", 0.25, "seconds"),
        ("15us", 0.000015, "seconds"),
        ("98%", 0.98, "ratio"),
        ("512B", 512, "bytes"),
        ("2KB", 2048, "bytes"),
        ("3MB", 3 * 1024**2, "bytes"),
        ("1GiB", 1024**3, "bytes"),
        ("1TB", 1024**4, "bytes"),
        ("17c", 17, "count"),
        ("17", 17, ""),
        ("-4.5", -4.5, ""),
        (".5", 0.5, ""),
        ("0,5s", 0.5, "seconds"),
        ("1e3", 1000, ""),
        ("21C", 21, "C"),
        ("5apples", 5, "apples"),
        ("U", None, ""),
    ],
)
def test_a_value_is_told_in_its_base_unit(written: str, value: float | None, unit: str) -> None:
    assert figures(f"x={written}") == (Figure(label="x", value=value, unit=unit),)


@pytest.mark.parametrize(
    ("limits", "warn", "crit"),
    [
        ("500;1000", 0.5, 1.0),
        ("10:500;@5:7", "0.01:0.5", "@0.005:0.007"),
        ("~:500;10:", "~:0.5", "0.01:"),
        (";", None, None),
        ("nonsense;1", None, 0.001),
    ],
)
def test_limits_are_numbers_or_ranges_in_the_same_unit(
    limits: str, warn: float | str | None, crit: float | str | None
) -> None:
    (figure,) = figures(f"time=250ms;{limits}")

    assert (figure.warn, figure.crit) == (warn, crit)


def test_a_label_in_quotes_may_hold_anything() -> None:
    found = figures("'a b'=1 'it''s = 5'=2 c/d=3 ''=4")

    assert [(one.label, one.value) for one in found] == [("a b", 1), ("it's = 5", 2), ("c/d", 3)]


def test_more_lines_hold_more_text_and_more_figures() -> None:
    said = read_plugin_output(
        "DISK OK - free | /=1MB\nline two\nline three | /home=2MB\n/var=3MB\n"
    )

    assert said.line == "DISK OK - free"
    assert [one.label for one in said.figures] == ["/", "/home", "/var"]


@pytest.mark.parametrize(
    "data", ["", "x", "x=", "=1", "x=1=2", "x=one", "'x=1", "x=1e999", "x = 1"]
)
def test_what_is_no_figure_is_left_out(data: str) -> None:
    assert figures(f"{data}") == ()
    assert [one.label for one in figures(f"a=1 {data}")] == ["a"]


def test_a_label_that_comes_twice_counts_once() -> None:
    assert [one.value for one in figures("x=1 x=2")] == [1]


@given(st.text())
def test_nothing_that_is_said_raises(text: str) -> None:
    said = read_plugin_output(text)

    assert "\n" not in said.line


@pytest.mark.parametrize(
    "part", ["'", "''", "a=", "=", "x=1;", "x=1 ", "1:", "'a'=1 ", "x=" + "9" * 50 + " ", "|", "\n"]
)
def test_much_of_anything_is_read_in_no_time(part: str) -> None:
    text = "OK |" + part * (1024 * 1024 // len(part))
    begun = time.process_time()

    said = read_plugin_output(text)

    assert time.process_time() - begun < 1
    assert len(said.figures) <= MOST_FIGURES
