"""The policy `referrer-policy`: other sites learn no more than where a visitor came from."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain
from monitor.core.headers.page import referrer_in_page
from monitor.core.headers.result import REMEMBERED, Policy, PolicyResult, Terms, judged, one_of

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

RESULTS: Final = (
    "referrer-policy-private",
    "referrer-policy-not-implemented",
    "referrer-policy-unsafe",
    "referrer-policy-header-invalid",
)
HEADER: Final = "referrer-policy"
STRICTEST_FIRST: Final = (
    "no-referrer",
    "same-origin",
    "strict-origin",
    "strict-origin-when-cross-origin",
    "origin",
    "origin-when-cross-origin",
    "no-referrer-when-downgrade",
    "unsafe-url",
)
PRIVATE: Final = frozenset(STRICTEST_FIRST[:4])


def judge(observation: Observation, terms: Terms) -> PolicyResult:
    """Judge the last value that browsers know; a `<meta name=referrer>` comes after the header.

    Without any, browsers send the origin alone, which passes unless it is `required`.
    """
    return _judge_lines(observation.header(HEADER), referrer_in_page(observation), terms)


def known_value(lines: tuple[str, ...]) -> str:
    """Give the value that browsers take: the last one that they know, or nothing."""
    values = [value.strip().lower() for line in lines for value in line.split(",")]

    return next((value for value in reversed(values) if value in STRICTEST_FIRST), "")


@lru_cache(maxsize=REMEMBERED)
def _judge_lines(lines: tuple[str, ...], in_page: str, terms: Terms) -> PolicyResult:
    if not lines and not in_page:
        passed = not (terms.required or terms.allow)
        said = f"header {HEADER} is absent"
        if passed:
            said += ", so that browsers send other sites no more than the origin"
        return _result(f"{HEADER}-not-implemented", said, "absent", terms, passed=passed)

    shown = ", ".join((*lines, in_page) if in_page else lines)
    found = plain(shown)
    said = f"{f'header {HEADER}' if lines else f'{HEADER} in the page'} is {found or 'empty'}"
    value = known_value((*lines, in_page))
    if not value:
        said += ", of which browsers know nothing"
        return _result(f"{HEADER}-header-invalid", said, found, terms)
    if value != shown.strip().lower():
        said += f", of which {value} counts"
    passed = value in terms.allow if terms.allow else value in PRIVATE
    grade = "private" if value in PRIVATE else "unsafe"

    return _result(f"{HEADER}-{grade}", said, found, terms, passed=passed)


def _result(
    result: str, said: str, found: str, terms: Terms, *, passed: bool = False
) -> PolicyResult:
    allowed = [value for value in STRICTEST_FIRST if value in (terms.allow or PRIVATE)]

    return judged(
        Policy.REFERRER_POLICY, result, said, expected=one_of(allowed), found=found, passed=passed
    )
