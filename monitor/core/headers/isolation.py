"""The policies `corp`, `coop` and `coep`: what other origins may do with this one's answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain, show_list
from monitor.core.headers.result import (
    REMEMBERED,
    Policy,
    PolicyResult,
    Terms,
    judged,
    lacking,
    one_of,
)
from monitor.core.headers.structured import PARAMETERS, TOKEN

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One of the three: its name and its values, the strictest first.

    `structured` values are tokens that may carry parameters, and their case counts.
    """

    name: str
    values: tuple[str, ...]
    structured: bool


HEADERS: Final = {
    Policy.CORP: Header(
        name="cross-origin-resource-policy",
        values=("same-origin", "same-site", "cross-origin"),
        structured=False,
    ),
    Policy.COOP: Header(
        name="cross-origin-opener-policy",
        values=(
            "same-origin",
            "same-origin-allow-popups",
            "noopener-allow-popups",
            "unsafe-none",
        ),
        structured=True,
    ),
    Policy.COEP: Header(
        name="cross-origin-embedder-policy",
        values=("require-corp", "credentialless", "unsafe-none"),
        structured=True,
    ),
}
RESULTS: Final = {
    policy: (
        *(f"{policy}-implemented-with-{value}" for value in header.values),
        f"{policy}-not-implemented",
        f"{policy}-header-invalid",
    )
    for policy, header in HEADERS.items()
}
_VALUE: Final = re.compile(rf"(?P<token>{TOKEN}){PARAMETERS}")


def judge_corp(observation: Observation, terms: Terms) -> PolicyResult:
    """Judge who may embed the answer."""
    return _judge(Policy.CORP, observation, terms)


def judge_coop(observation: Observation, terms: Terms) -> PolicyResult:
    """Judge who keeps a hold on a window that shows the answer."""
    return _judge(Policy.COOP, observation, terms)


def judge_coep(observation: Observation, terms: Terms) -> PolicyResult:
    """Judge what the page may embed."""
    return _judge(Policy.COEP, observation, terms)


def known_value(policy: Policy, line: str) -> str:
    """Give the value that browsers take of a line, or nothing where they ignore it."""
    header = HEADERS[policy]
    text = line.strip(" \t")
    if not header.structured:
        return text.lower() if text.lower() in header.values else ""

    found = _VALUE.fullmatch(text)

    return found["token"] if found and found["token"] in header.values else ""


def _judge(policy: Policy, observation: Observation, terms: Terms) -> PolicyResult:
    return _judge_lines(policy, observation.header(HEADERS[policy].name), terms)


@lru_cache(maxsize=REMEMBERED)
def _judge_lines(policy: Policy, lines: tuple[str, ...], terms: Terms) -> PolicyResult:
    name = HEADERS[policy].name
    if what := lacking(lines):
        passed = not (terms.required or terms.allow)
        said = f"header {name} is {what}"
        return _result(policy, "not-implemented", said, what, terms, passed=passed)
    if len(lines) > 1:
        said = f"header {name} is sent {len(lines)} times"
        return _result(policy, "header-invalid", said, show_list(lines), terms)

    found = plain(lines[0])
    said = f"header {name} is {found}"
    value = known_value(policy, lines[0])
    if not value:
        said += ", which browsers ignore"
        return _result(policy, "header-invalid", said, found, terms)

    passed = value in terms.allow if terms.allow else True

    return _result(policy, f"implemented-with-{value}", said, found, terms, passed=passed)


def _result(
    policy: Policy, result: str, said: str, found: str, terms: Terms, *, passed: bool = False
) -> PolicyResult:
    expected = one_of(terms.allow or HEADERS[policy].values)

    return judged(policy, f"{policy}-{result}", said, expected=expected, found=found, passed=passed)
