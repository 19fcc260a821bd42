"""The policy `nosniff`: browsers take the declared content type, and guess none."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain, show_list
from monitor.core.headers.result import REMEMBERED, Policy, PolicyResult, Terms, judged, lacking

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

RESULTS: Final = (
    "x-content-type-options-nosniff",
    "x-content-type-options-header-invalid",
    "x-content-type-options-not-implemented",
)

HEADER: Final = "x-content-type-options"


def judge(observation: Observation, terms: Terms) -> PolicyResult:
    """Judge by the Fetch standard, but stricter: the one value is sent once. It has no terms."""
    del terms

    return _judge_lines(observation.header(HEADER))


@lru_cache(maxsize=REMEMBERED)
def _judge_lines(lines: tuple[str, ...]) -> PolicyResult:
    if what := lacking(lines):
        return _result(f"{HEADER}-not-implemented", f"header {HEADER} is {what}", what)
    if len(lines) > 1:
        said = f"header {HEADER} is sent {len(lines)} times"
        return _result(f"{HEADER}-header-invalid", said, show_list(lines))

    found = plain(lines[0])
    said = f"header {HEADER} is {found}"
    if lines[0].strip().lower() != "nosniff":
        return _result(f"{HEADER}-header-invalid", said, found)

    return _result(f"{HEADER}-nosniff", said, found, passed=True)


def _result(result: str, said: str, found: str, *, passed: bool = False) -> PolicyResult:
    return judged(Policy.NOSNIFF, result, said, expected="nosniff", found=found, passed=passed)
