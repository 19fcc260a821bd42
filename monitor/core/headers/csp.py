"""The policy `csp`: there is a content security policy that browsers can follow.

How strict it is shows in the result code; at the level `no-unsafe` it has to be a good one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain, show_list
from monitor.core.headers.csp_reading import (
    BROAD,
    HEADER,
    NOTHING,
    Directives,
    InvalidPolicyError,
    Sources,
    blank_nonces,
    read_lines,
    read_policy,
    sent_lines,
    sources_of,
)
from monitor.core.headers.page import policies_in_page
from monitor.core.headers.result import REMEMBERED, Policy, PolicyResult, Terms, judged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from monitor.core.model.observation import Observation

NO_UNSAFE: Final = "no-unsafe"
"""The level at which scripts, plug-ins and active content have to be bounded."""

_SAFE: Final = (
    "csp-implemented-with-no-unsafe-default-src-none",
    "csp-implemented-with-no-unsafe",
    "csp-implemented-with-unsafe-inline-in-style-src-only",
    "csp-implemented-but-duplicate-directives",
    "csp-implemented-with-insecure-scheme-in-passive-content-only",
)
_UNSAFE: Final = (
    "csp-implemented-with-unsafe-eval",
    "csp-implemented-with-unsafe-inline",
    "csp-implemented-with-insecure-scheme",
)
RESULTS: Final = (
    *_SAFE,
    *_UNSAFE,
    "csp-header-invalid",
    "csp-not-implemented",
    "csp-not-implemented-but-reporting-enabled",
)
_WHY: Final = {
    "csp-implemented-with-unsafe-eval": "it allows 'unsafe-eval'",
    "csp-implemented-with-unsafe-inline": (
        "it lets scripts or plug-ins come from anywhere, or stand in the page"
    ),
    "csp-implemented-with-insecure-scheme": "it lets active content come over plain HTTP",
}
_EXPECTED: Final = {
    "": "a valid content security policy",
    NO_UNSAFE: "a content security policy that bounds scripts and plug-ins",
}
_INLINE: Final = BROAD | {"'unsafe-inline'", "data:"}
_NONCE_OR_HASH: Final = ("'nonce-", "'sha256-", "'sha384-", "'sha512-")
_PASSIVE: Final = ("img-src", "media-src")
_NOT_IN_META: Final = frozenset({"frame-ancestors", "report-uri", "sandbox"})
_ANY: Final = frozenset({"*"})


def judge(observation: Observation, terms: Terms) -> PolicyResult:
    """Judge the policies of the header lines and of the page, which all hold at once."""
    return _judge_lines(
        sent_lines(observation),
        tuple([blank_nonces(policy) for policy in policies_in_page(observation)]),
        bool("".join(observation.header(f"{HEADER}-report-only")).strip()),
        observation.over_tls,
        terms.level,
    )


@lru_cache(maxsize=REMEMBERED)
def _judge_lines(
    lines: tuple[str, ...], in_page: tuple[str, ...], reported: bool, secure: bool, level: str
) -> PolicyResult:
    """Judge lines that mostly are the same at each probe."""
    if not lines and not in_page:
        return _absent(f"header {HEADER} is absent", reported, level)

    where = f"header {HEADER}" if lines else f"{HEADER} in the page"
    shown = (*lines, *in_page)
    found = plain(shown[0]) if len(shown) == 1 else show_list(shown)
    said = f"{where} is {found or 'empty'}"
    try:
        sent, marked = read_lines(lines), tuple(read_policy(one)[0] for one in in_page)
    except InvalidPolicyError as error:
        return _result("csp-header-invalid", f"{said}: {error}", found, level)
    if not sent and not any(policy.keys() - _NOT_IN_META for policy in marked):
        return _absent(f"{said}, which says nothing", reported, level)

    result = _grade((*sent, *marked), secure)
    if result == "csp-header-invalid":
        said += ": 'strict-dynamic' without a nonce or a hash allows no script at all"
        return _result(result, said, found, level)
    if result in _SAFE:
        if _repeats(shown):
            result = "csp-implemented-but-duplicate-directives"
        return _result(result, said, found, level, passed=True)
    if level == NO_UNSAFE:
        return _result(result, f"{said}: {_WHY[result]}", found, level)

    return _result(result, said, found, level, passed=True)


def _absent(said: str, reported: bool, level: str) -> PolicyResult:
    if reported:
        said += ", only its report-only form is sent"
        return _result("csp-not-implemented-but-reporting-enabled", said, "report only", level)

    return _result("csp-not-implemented", said, "absent", level)


def _repeats(lines: Iterable[str]) -> bool:
    parts = (part for line in lines for part in line.split(",") if part.strip())

    return any(read_policy(part)[1] for part in parts)


def _grade(policies: tuple[Directives, ...], secure: bool) -> str:
    """Give the result code of policies that hold at once: what one forbids, none can allow."""
    read = [_as_browsers_do(policy) for policy in policies]
    if any(lost for _, lost in read):
        return "csp-header-invalid"

    held = [policy for policy, _ in read]
    if _all_allow(held, "script-src", _INLINE) or _all_allow(held, "object-src", BROAD):
        return "csp-implemented-with-unsafe-inline"
    if secure and _insecure(held, {name for policy in held for name in policy} - set(_PASSIVE)):
        return "csp-implemented-with-insecure-scheme"
    if any(
        _one_allows(held, name, lambda sources: "'unsafe-eval'" in sources)
        for name in ("script-src", "style-src")
    ):
        return "csp-implemented-with-unsafe-eval"
    if secure and _insecure(held, _PASSIVE):
        return "csp-implemented-with-insecure-scheme-in-passive-content-only"
    if _all_allow(held, "style-src", _INLINE):
        return "csp-implemented-with-unsafe-inline-in-style-src-only"
    if any(policy.get("default-src") == NOTHING for policy in held):
        return "csp-implemented-with-no-unsafe-default-src-none"

    return "csp-implemented-with-no-unsafe"


def _as_browsers_do(policy: Directives) -> tuple[dict[str, Sources], bool]:
    """Take away what a nonce or a hash takes away, and say whether no script is left at all.

    It takes `'unsafe-inline'`; with `'strict-dynamic'` also `'self'`, hosts and schemes.
    """
    held = dict(policy)
    lost = False
    for kind in ("script-src", "style-src"):
        name = kind if kind in held else "default-src"
        if name in held and any(one.startswith(_NONCE_OR_HASH) for one in held[name]):
            held[name] -= {"'unsafe-inline'"}

    scripts = "script-src" if "script-src" in held else "default-src"
    sources = held.get(scripts, _ANY)
    if "'strict-dynamic'" in sources:
        lost = not any(one.startswith(_NONCE_OR_HASH) for one in sources)
        kept = (one for one in sources if one != "'self'" and not one.startswith(tuple(BROAD)))
        held[scripts] = sources if lost else frozenset(kept) - {"'unsafe-inline'"}

    return held, lost


def _all_allow(policies: Iterable[Directives], name: str, unwanted: Sources) -> bool:
    """Whether each policy allows one of these sources; silence allows everything."""
    found = [sources_of(policy, name) for policy in policies]

    return all(sources is None or unwanted & sources for sources in found)


def _one_allows(
    policies: Iterable[Directives], name: str, allows: Callable[[Sources], bool]
) -> bool:
    """Whether a policy allows it expressly, and no other forbids it."""
    found = [sources for policy in policies if (sources := sources_of(policy, name)) is not None]

    return bool(found) and all(allows(sources) for sources in found)


def _insecure(policies: list[Directives] | list[dict[str, Sources]], names: Iterable[str]) -> bool:
    return any(_one_allows(policies, name, _holds_insecure) for name in names)


def _holds_insecure(sources: Sources) -> bool:
    return any(source.startswith(("http:", "ftp:")) for source in sources)


def _result(
    result: str, said: str, found: str, level: str, *, passed: bool = False
) -> PolicyResult:
    expected = _EXPECTED.get(level, _EXPECTED[""])

    return judged(Policy.CSP, result, said, expected=expected, found=found, passed=passed)
