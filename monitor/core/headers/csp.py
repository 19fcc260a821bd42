"""The policy `csp`: there is a content security policy that browsers can follow.

How strict it is shows in the result code; at this level any valid policy passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain, show_list
from monitor.core.headers.meta import policies_in_page
from monitor.core.headers.result import REMEMBERED, Policy, PolicyResult, judged

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

Directives = Mapping[str, tuple[str, ...]]

_HEADER: Final = "content-security-policy"
_EXPECTED: Final = "a valid content security policy"
_MAY_REPEAT: Final = frozenset({"report-uri", "report-to"})
_KNOWN: Final = frozenset(
    {
        *("base-uri", "child-src", "connect-src", "default-src", "fenced-frame-src", "font-src"),
        *("form-action", "frame-ancestors", "frame-src", "img-src", "manifest-src", "media-src"),
        *("object-src", "plugin-types", "prefetch-src", "report-to", "report-uri"),
        *("require-trusted-types-for", "sandbox", "script-src", "script-src-attr"),
        *("script-src-elem", "style-src", "style-src-attr", "style-src-elem", "trusted-types"),
        *("upgrade-insecure-requests", "block-all-mixed-content", "worker-src"),
    }
)
_BROAD: Final = frozenset(
    {"*", "http:", "https:", "ftp:", "http://*", "https://*", "http://*.*", "https://*.*"}
)
_UNSAFE: Final = _BROAD | {"'unsafe-inline'", "data:"}
_FREED_BY_NONCE: Final = ("'nonce-", "'sha256-", "'sha384-", "'sha512-")
_PASSIVE: Final = ("img-src", "media-src")
_ACTIVE: Final = (
    *("script-src", "object-src", "style-src", "child-src", "connect-src", "font-src"),
    *("frame-src", "manifest-src", "worker-src"),
)

_BEST_FIRST: Final = (
    "csp-implemented-with-no-unsafe-default-src-none",
    "csp-implemented-with-no-unsafe",
    "csp-implemented-with-unsafe-inline-in-style-src-only",
    "csp-implemented-but-duplicate-directives",
    "csp-implemented-with-insecure-scheme-in-passive-content-only",
    "csp-implemented-with-unsafe-eval",
    "csp-implemented-with-insecure-scheme",
    "csp-implemented-with-unsafe-inline",
    "csp-header-invalid",
)


def judge(observation: Observation) -> PolicyResult:
    """Judge the header lines, or without them the page's own policies.

    Several policies hold at once, so that the strictest counts.
    """
    lines = observation.header(_HEADER)
    if lines:
        return _judge_lines(lines, f"header {_HEADER}")

    in_page = policies_in_page(observation)
    if in_page:
        return _judge_lines(tuple(in_page), f"{_HEADER} in the page")

    if observation.header(f"{_HEADER}-report-only"):
        said = f"header {_HEADER} is absent, only its report-only form is sent"
        return _result("csp-not-implemented-but-reporting-enabled", said, "report only")

    return _result("csp-not-implemented", f"header {_HEADER} is absent", "absent")


@lru_cache(maxsize=REMEMBERED)
def _judge_lines(lines: tuple[str, ...], where: str) -> PolicyResult:
    """Judge lines that mostly are the same at each probe."""
    graded = [_grade(policy) for line in lines for policy in line.split(",") if policy.strip()]
    found = plain(lines[0]) if len(lines) == 1 else show_list(lines)
    if not graded:
        return _result("csp-header-invalid", f"{where} is empty", found)

    result, flaw = min(graded, key=lambda grade: _BEST_FIRST.index(grade[0]))
    said = f"{where} is {found}"
    if flaw:
        return _result(result, f"{said}: {flaw}", found)

    return _result(result, said, found, passed=True)


def policies_of(observation: Observation) -> list[Directives]:
    """Give each policy that the answer enforces; of a directive sent twice the first counts."""
    return [
        directives
        for line in observation.header(_HEADER)
        for policy in line.split(",")
        if (directives := _read(policy)[0])
    ]


@lru_cache(maxsize=REMEMBERED)
def _read(policy: str) -> tuple[Directives, frozenset[str]]:
    """Read the directives of one policy, and the names of those that come more than once."""
    directives: dict[str, tuple[str, ...]] = {}
    repeated: set[str] = set()
    for part in policy.split(";"):
        name, *values = part.split() or [""]
        name = name.lower()
        if name in directives:
            repeated.add(name)
        elif name:
            directives[name] = tuple(values)

    return MappingProxyType(directives), frozenset(repeated)


def _grade(policy: str) -> tuple[str, str]:
    """Give the result code of one policy, and its flaw where browsers would not follow it."""
    directives, repeated = _read(policy)
    if not _KNOWN.intersection(directives):
        return "csp-header-invalid", "it has no directive that browsers know"
    if repeated - _MAY_REPEAT:
        names = ", ".join(sorted(plain(name) for name in repeated - _MAY_REPEAT))
        return "csp-header-invalid", f"it has {names} more than once"

    scripts, freed = _allowed(directives, "script-src")
    if "'strict-dynamic'" in scripts and not freed:
        flaw = "'strict-dynamic' without a nonce or a hash allows no script at all"
        return "csp-header-invalid", flaw

    return _grade_sources(directives, scripts, bool(repeated)), ""


def _grade_sources(directives: Directives, scripts: frozenset[str], repeated: bool) -> str:
    styles, _ = _allowed(directives, "style-src")
    objects, _ = _allowed(directives, "object-src")
    if _UNSAFE & scripts or _UNSAFE & objects:
        return "csp-implemented-with-unsafe-inline"
    if any(_insecure(directives, name) for name in _ACTIVE):
        return "csp-implemented-with-insecure-scheme"
    if "'unsafe-eval'" in scripts | styles:
        return "csp-implemented-with-unsafe-eval"
    if any(_insecure(directives, name) for name in _PASSIVE):
        return "csp-implemented-with-insecure-scheme-in-passive-content-only"
    if repeated:
        return "csp-implemented-but-duplicate-directives"
    if _UNSAFE & styles:
        return "csp-implemented-with-unsafe-inline-in-style-src-only"
    if [source.lower() for source in directives.get("default-src", ())] == ["'none'"]:
        return "csp-implemented-with-no-unsafe-default-src-none"

    return "csp-implemented-with-no-unsafe"


def _allowed(directives: Directives, name: str) -> tuple[frozenset[str], bool]:
    """Give the sources that a browser allows, and whether a nonce or a hash is among them.

    These take `'unsafe-inline'` away; with `'strict-dynamic'` also all hosts and schemes.
    """
    sources = directives.get(name, directives.get("default-src", ("*",)))
    allowed = frozenset(source.lower() for source in sources)
    freed = any(source.startswith(_FREED_BY_NONCE) for source in allowed)
    if freed:
        allowed -= {"'unsafe-inline'"}
        if "'strict-dynamic'" in allowed:
            allowed -= _UNSAFE

    return allowed, freed


def _insecure(directives: Directives, name: str) -> bool:
    sources = directives.get(name, directives.get("default-src", ()))

    return any(source.lower().startswith(("http:", "ftp:")) for source in sources)


def _result(result: str, said: str, found: str, *, passed: bool = False) -> PolicyResult:
    return judged(Policy.CSP, result, said, expected=_EXPECTED, found=found, passed=passed)
