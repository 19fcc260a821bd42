"""The policy `nosniff`: browsers take the declared content type, and guess none."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain, show_list
from monitor.core.headers.result import REMEMBERED, Policy, PolicyResult, judged

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

_HEADER: Final = "x-content-type-options"


def judge(observation: Observation) -> PolicyResult:
    """Judge by the Fetch standard, but stricter: the one value is sent once."""
    return _judge_lines(observation.header(_HEADER))


@lru_cache(maxsize=REMEMBERED)
def _judge_lines(lines: tuple[str, ...]) -> PolicyResult:
    if not lines:
        return _result(f"{_HEADER}-not-implemented", f"header {_HEADER} is absent", "absent")
    if len(lines) > 1:
        said = f"header {_HEADER} is sent {len(lines)} times"
        return _result(f"{_HEADER}-header-invalid", said, show_list(lines))

    found = plain(lines[0])
    said = f"header {_HEADER} is {found or 'empty'}"
    if lines[0].strip().lower() != "nosniff":
        return _result(f"{_HEADER}-header-invalid", said, found)

    return _result(f"{_HEADER}-nosniff", said, found, passed=True)


def _result(result: str, said: str, found: str, *, passed: bool = False) -> PolicyResult:
    return judged(Policy.NOSNIFF, result, said, expected="nosniff", found=found, passed=passed)
