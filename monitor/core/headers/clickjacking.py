"""The policy `clickjacking`: no other site may show this one inside a frame."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain, show_list
from monitor.core.headers.csp_reading import BROAD, NOTHING, Sources, policies_of
from monitor.core.headers.result import REMEMBERED, Policy, PolicyResult, Terms, judged, lacking

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

RESULTS: Final = (
    "x-frame-options-implemented-via-csp",
    "x-frame-options-sameorigin-or-deny",
    "x-frame-options-allow-from-origin",
    "x-frame-options-not-implemented",
    "x-frame-options-header-invalid",
)
NOBODY: Final = "nobody"
"""The level at which the site itself may not frame its pages either."""

HEADER: Final = "x-frame-options"
_OTHERS_OUT: Final = "DENY, SAMEORIGIN or CSP frame-ancestors"
_ALL_OUT: Final = "DENY or CSP frame-ancestors 'none'"


def judge(observation: Observation, terms: Terms) -> PolicyResult:
    """Judge `frame-ancestors` first: where a browser finds it, it ignores `x-frame-options`.

    Only headers count: browsers ignore `frame-ancestors` in a `<meta>` element. A policy that is
    not valid counts for nothing.
    """
    ancestors = tuple(
        [
            policy["frame-ancestors"]
            for policy in policies_of(observation)
            if "frame-ancestors" in policy
        ]
    )
    strict = terms.level == NOBODY
    if ancestors:
        return _judge_ancestors(ancestors, strict)

    return _judge_lines(observation.header(HEADER), strict)


@lru_cache(maxsize=REMEMBERED)
def _judge_lines(lines: tuple[str, ...], strict: bool) -> PolicyResult:
    if what := lacking(lines):
        return _result(f"{HEADER}-not-implemented", f"header {HEADER} is {what}", what, strict)
    if lines[0].strip().lower().startswith("allow-from"):
        found = show_list(lines)
        said = f"header {HEADER} is {found}, which browsers ignore"
        return _result(f"{HEADER}-allow-from-origin", said, found, strict)
    if len(lines) > 1:
        said = f"header {HEADER} is sent {len(lines)} times"
        return _result(f"{HEADER}-header-invalid", said, show_list(lines), strict)

    found = plain(lines[0])
    said = f"header {HEADER} is {found}"
    value = lines[0].strip().lower()
    if value in ("deny", "sameorigin"):
        passed = value == "deny" or not strict
        return _result(f"{HEADER}-sameorigin-or-deny", said, found, strict, passed=passed)

    return _result(f"{HEADER}-header-invalid", said, found, strict)


@lru_cache(maxsize=REMEMBERED)
def _judge_ancestors(ancestors: tuple[Sources, ...], strict: bool) -> PolicyResult:
    """All policies hold at once, so that one which keeps strangers out is enough."""
    kept_out = [sources for sources in ancestors if not BROAD & sources]
    best = next((sources for sources in kept_out if sources == NOTHING), None)
    shown = best or (kept_out or ancestors)[0]
    found = plain(f"frame-ancestors {' '.join(sorted(shown))}")
    said = f"content-security-policy says {found}"
    if not kept_out:
        said += ", which lets any site frame this one"
        return _result(f"{HEADER}-header-invalid", said, found, strict)

    passed = best is not None or not strict

    return _result(f"{HEADER}-implemented-via-csp", said, found, strict, passed=passed)


def _result(
    result: str, said: str, found: str, strict: bool, *, passed: bool = False
) -> PolicyResult:
    expected = _ALL_OUT if strict else _OTHERS_OUT

    return judged(Policy.CLICKJACKING, result, said, expected=expected, found=found, passed=passed)
