"""Laying text out: long lines hang below their beginning, and nothing overruns a terminal."""

from __future__ import annotations

import pytest

from monitor.cli.look import Look, find_look
from monitor.cli.page import MARKS, Page, mark
from monitor.core.model.verdict import Outcome


def test_a_long_line_goes_on_below_where_it_began() -> None:
    page = Page(Look(width=24))

    page.line("one two three four five", lead="lead  ")

    assert page.text() == "lead  one two three four\n      five\n"


def test_it_may_hang_deeper() -> None:
    page = Page(Look(width=24))

    page.line("one two three four five six", lead="  ", hang=4)

    assert page.text() == "  one two three four\n      five six\n"


def test_a_word_longer_than_the_line_is_broken() -> None:
    page = Page(Look(width=24))

    page.line("x" * 50, lead="  ")

    assert max(map(len, page.text().splitlines())) == 24


def test_without_a_terminal_no_line_is_broken() -> None:
    page = Page(Look())

    page.line("word " * 1000)

    assert len(page.text().splitlines()) == 1


def test_even_the_narrowest_terminal_gets_something() -> None:
    page = Page(Look(width=1))

    page.line("hello", lead=" " * 30)

    assert "hello" in page.text()


@pytest.mark.parametrize("outcome", Outcome)
def test_marks_align(outcome: Outcome) -> None:
    page = Page(Look())

    page.line("x", lead=mark(outcome))

    assert page.text().index("x") == 11
    assert MARKS[outcome] in mark(outcome)


def test_what_is_no_terminal_is_plain() -> None:
    assert find_look() == Look(color=False, width=None)
