"""The policy `permissions-policy`: which features of the browser the page and its frames get."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain
from monitor.core.headers.result import REMEMBERED, Policy, PolicyResult, Terms, judged
from monitor.core.headers.structured import ITEM, KEY, PARAMETERS

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

Features = dict[str, frozenset[str]]

RESULTS: Final = (
    "permissions-policy-implemented",
    "permissions-policy-not-implemented",
    "permissions-policy-header-invalid",
)
HEADER: Final = "permissions-policy"
_LEGACY: Final = "feature-policy"
_MEMBER: Final = re.compile(
    rf"[ \t]*(?P<name>{KEY})"
    rf"(?:=(?:\((?P<list>[ ]*(?:{ITEM}{PARAMETERS}(?:[ ]+{ITEM}{PARAMETERS})*[ ]*)?)\)"
    rf"|(?P<one>{ITEM})))?"
    rf"{PARAMETERS}[ \t]*(?P<comma>,|\Z)"
)
_ITEMS: Final = re.compile(ITEM)


def judge(observation: Observation, terms: Terms) -> PolicyResult:
    """Judge by the rules of structured fields; `require` names features that nobody may use."""
    return _judge_lines(
        observation.header(HEADER), bool(observation.header(_LEGACY)), terms.require
    )


@lru_cache(maxsize=REMEMBERED)
def _judge_lines(lines: tuple[str, ...], legacy: bool, denied: tuple[str, ...]) -> PolicyResult:
    text = ", ".join(lines)
    if not text.strip(" ,"):
        said = f"header {HEADER} is {'empty' if lines else 'absent'}"
        if legacy:
            said += f", only {_LEGACY} is sent, which browsers no longer read"
        return _result(f"{HEADER}-not-implemented", said, "absent", denied)

    found = plain(text)
    features = read_features(text)
    if features is None:
        said = f"header {HEADER} is {found}, which browsers ignore as a whole"
        return _result(f"{HEADER}-header-invalid", said, found, denied)

    said = f"header {HEADER} is {found}"
    open_to_some = [name for name in denied if features.get(name) != frozenset()]
    if open_to_some:
        said += f", which does not deny {', '.join(open_to_some)}"
        return _result(f"{HEADER}-implemented", said, found, denied)

    return _result(f"{HEADER}-implemented", said, found, denied, passed=True)


def read_features(text: str) -> Features | None:
    """Read who may use each feature; None where the line is no dictionary of structured fields."""
    features: Features = {}
    position = 0
    while True:
        member = _MEMBER.match(text, position)
        if member is None:
            return None

        listed = member["list"] if member["list"] is not None else member["one"]
        features[member["name"]] = frozenset(_ITEMS.findall(listed or ""))
        position = member.end()
        if not member["comma"]:
            return features


def _result(
    result: str, said: str, found: str, denied: tuple[str, ...], *, passed: bool = False
) -> PolicyResult:
    expected = ", ".join(f"{name}=()" for name in denied) or "features such as camera=()"

    return judged(
        Policy.PERMISSIONS_POLICY, result, said, expected=expected, found=found, passed=passed
    )
