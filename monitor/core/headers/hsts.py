"""The policy `hsts`: browsers come back by HTTPS only, for at least half a year."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain, show_list
from monitor.core.headers.result import (
    HALF_A_YEAR,
    REMEMBERED,
    Policy,
    PolicyResult,
    Terms,
    judged,
)
from monitor.core.model.observation import CERTIFICATE_FAULTS, Code

if TYPE_CHECKING:
    from monitor.core.model.observation import Fault, Observation

Directives = dict[str, str | None]

RESULTS: Final = (
    "hsts-implemented-max-age-at-least-six-months",
    "hsts-implemented-max-age-less-than-six-months",
    "hsts-not-implemented",
    "hsts-header-invalid",
    "hsts-not-implemented-no-https",
    "hsts-invalid-cert",
)

HEADER: Final = "strict-transport-security"
_SECOND: Final = timedelta(seconds=1)
_DIRECTIVE: Final = re.compile(
    r"""\s*(?P<name>[!#$%&'*+.^_`|~0-9a-z-]+)
        \s*(?:=\s*(?:"(?P<quoted>[^"]*)"|(?P<bare>[!#$%&'*+.^_`|~0-9a-z-]+)))?\s*""",
    re.IGNORECASE | re.VERBOSE,
)
_LONGEST_NUMBER: Final = 18
_TLS_FAULTS: Final = CERTIFICATE_FAULTS | {Code.TLS_HANDSHAKE}


def judge(observation: Observation, terms: Terms) -> PolicyResult:
    """Judge by RFC 6797: sent once, over TLS, with a `max-age` that is long enough."""
    fault = observation.fault
    if fault is not None and is_broken_by(fault):
        said = f"browsers honour no HSTS here: {fault.message}"
        return _result("hsts-invalid-cert", said, "", terms)

    lines = observation.header(HEADER)
    if not observation.over_tls:
        return _result(
            "hsts-not-implemented-no-https",
            "the answer did not come over HTTPS, where alone browsers honour HSTS",
            show_list(lines),
            terms,
        )

    return _judge_lines(lines, terms)


@lru_cache(maxsize=REMEMBERED)
def _judge_lines(lines: tuple[str, ...], terms: Terms) -> PolicyResult:
    if not lines:
        return _result("hsts-not-implemented", f"header {HEADER} is absent", "absent", terms)
    if len(lines) > 1:
        said = f"header {HEADER} is sent {len(lines)} times"
        return _result("hsts-header-invalid", said, show_list(lines), terms)

    found = plain(lines[0])
    seconds, directives = read_line(lines[0])
    if seconds is None:
        said = f"header {HEADER} is {found or 'empty'}, which browsers ignore"
        return _result("hsts-header-invalid", said, found, terms)

    long_enough = seconds >= HALF_A_YEAR // _SECOND
    result = f"hsts-implemented-max-age-{'at-least' if long_enough else 'less-than'}-six-months"
    passed = (
        seconds >= terms.min_max_age // _SECOND
        and ("includesubdomains" in directives or not terms.include_subdomains)
        and ("preload" in directives or not terms.preload)
    )

    return _result(result, f"header {HEADER} is {found}", found, terms, passed=passed)


def is_broken_by(fault: Fault | None) -> bool:
    """Whether TLS itself failed, so that no header could make up for it."""
    return fault is not None and not fault.own and fault.code in _TLS_FAULTS


def read_line(line: str) -> tuple[int | None, Directives]:
    """Read the seconds of the one `max-age`, and all directives by their names in lower case.

    The seconds are None where a browser would ignore the line.
    """
    directives: Directives = {}
    for part in line.split(";"):
        if not part.strip():
            continue
        directive = _DIRECTIVE.fullmatch(part)
        if directive is None:
            return None, {}
        name = directive["name"].lower()
        if name in directives:
            return None, {}
        quoted = directive["quoted"]
        directives[name] = directive["bare"] if quoted is None else quoted

    value = directives.get("max-age") or ""
    if not (value.isascii() and value.isdecimal()):
        return None, directives

    return int(value[:_LONGEST_NUMBER]), directives


def _result(
    result: str, said: str, found: str, terms: Terms, *, passed: bool = False
) -> PolicyResult:
    expected = f"max-age of at least {terms.min_max_age // _SECOND} seconds"
    expected += " with includeSubDomains" if terms.include_subdomains else ""
    expected += " with preload" if terms.preload else ""

    return judged(Policy.HSTS, result, said, expected=expected, found=found, passed=passed)
