"""The name that was probably meant."""

from __future__ import annotations

import time

import pytest

from monitor.config.suggest import suggest


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("timeuot", "timeout"),
        ("Timeout", "timeout"),
        ("time_out", "timeout"),
        ("evry", "every"),
        ("header", "headers"),
        ("xyz", None),
        ("", None),
        ("timeout", None),
        ("t" * 500, None),
    ],
)
def test_a_name_alike_is_suggested(word: str, meant: str | None) -> None:
    found = suggest(word, ["every", "timeout", "headers"])

    assert found == (f"; did you mean {meant}?" if meant else "")


def test_many_names_take_no_time() -> None:
    names = [f"endpoint-{number}" for number in range(100_000)]
    started = time.process_time()

    suggest("endpiont-5", names)

    assert time.process_time() - started < 1
