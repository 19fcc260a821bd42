"""The policy `cache-control`: no cache on the way keeps what is meant for one reader."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain
from monitor.core.headers.result import REMEMBERED, Policy, PolicyResult, Terms, judged

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

RESULTS: Final = (
    "cache-control-no-store",
    "cache-control-without-no-store",
    "cache-control-not-implemented",
    "cache-control-header-invalid",
)
HEADER: Final = "cache-control"
NO_STORE: Final = "no-store"
_DIRECTIVE: Final = re.compile(
    r"""\s*(?:(?P<name>[!#$%&'*+.^_`|~0-9a-z-]+)
        (?:=(?:"(?:[^"\\]|\\.)*"|[!#$%&'*+.^_`|~0-9a-z-]+))?)?\s*(?:,|\Z)""",
    re.IGNORECASE | re.VERBOSE,
)


def judge(observation: Observation, terms: Terms) -> PolicyResult:
    """Judge the directives of all lines together; `require` names them, by default no-store."""
    return _judge_lines(observation.header(HEADER), terms.require or (NO_STORE,))


@lru_cache(maxsize=REMEMBERED)
def _judge_lines(lines: tuple[str, ...], wanted: tuple[str, ...]) -> PolicyResult:
    text = ", ".join(lines)
    if not text.strip(" ,"):
        what = "empty" if lines else "absent"
        return _result("not-implemented", f"header {HEADER} is {what}", what, wanted)

    found = plain(text)
    said = f"header {HEADER} is {found}"
    directives = read_directives(text)
    if directives is None:
        return _result("header-invalid", f"{said}, which caches read differently", found, wanted)

    result = NO_STORE if NO_STORE in directives else "without-no-store"
    missing = [name for name in wanted if name not in directives]
    if missing:
        return _result(result, f"{said}, without {', '.join(missing)}", found, wanted)

    return _result(result, said, found, wanted, passed=True)


def read_directives(text: str) -> frozenset[str] | None:
    """Give the names of all directives in lower case; None where the text cannot be read."""
    names: set[str] = set()
    position = 0
    while position < len(text):
        directive = _DIRECTIVE.match(text, position)
        if directive is None:
            return None
        if directive["name"]:
            names.add(directive["name"].lower())
        position = directive.end()

    return frozenset(names)


def _result(
    result: str, said: str, found: str, wanted: tuple[str, ...], *, passed: bool = False
) -> PolicyResult:
    return judged(
        Policy.CACHE_CONTROL,
        f"{HEADER}-{result}",
        said,
        expected=", ".join(wanted),
        found=found,
        passed=passed,
    )
