"""The policy `clickjacking`: no other site may show this one inside a frame."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain, show_list
from monitor.core.headers.csp import policies_of
from monitor.core.headers.result import REMEMBERED, Policy, PolicyResult, judged

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

_HEADER: Final = "x-frame-options"
_EXPECTED: Final = "DENY, SAMEORIGIN or CSP frame-ancestors"
_ANYONE: Final = frozenset({"*", "http:", "https:", "http://*", "https://*"})


def judge(observation: Observation) -> PolicyResult:
    """Judge `frame-ancestors` first: where a browser finds it, it ignores `x-frame-options`.

    Only headers count: browsers ignore `frame-ancestors` in a `<meta>` element.
    """
    ancestors = tuple(
        [
            policy["frame-ancestors"]
            for policy in policies_of(observation)
            if "frame-ancestors" in policy
        ]
    )
    if ancestors:
        return _judge_ancestors(ancestors)

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
    value = lines[0].strip().lower()
    if value in ("deny", "sameorigin"):
        return _result(f"{_HEADER}-sameorigin-or-deny", said, found, passed=True)
    if value.split(maxsplit=1)[:1] == ["allow-from"]:
        said += ", which browsers ignore"
        return _result(f"{_HEADER}-allow-from-origin", said, found)

    return _result(f"{_HEADER}-header-invalid", said, found)


@lru_cache(maxsize=REMEMBERED)
def _judge_ancestors(ancestors: tuple[tuple[str, ...], ...]) -> PolicyResult:
    """All policies hold at once, so that one which keeps strangers out is enough."""
    for sources in ancestors:
        if not _ANYONE.intersection(source.lower() for source in sources):
            found = plain(f"frame-ancestors {' '.join(sources)}".rstrip())
            return _result(
                f"{_HEADER}-implemented-via-csp",
                f"content-security-policy says {found}",
                found,
                passed=True,
            )

    found = plain(f"frame-ancestors {' '.join(ancestors[0])}")
    said = f"content-security-policy says {found}, which lets any site frame this one"

    return _result(f"{_HEADER}-header-invalid", said, found)


def _result(result: str, said: str, found: str, *, passed: bool = False) -> PolicyResult:
    return judged(Policy.CLICKJACKING, result, said, expected=_EXPECTED, found=found, passed=passed)
