"""The policy `hsts`: browsers come back by HTTPS only, for at least half a year."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain, show_list
from monitor.core.headers.result import REMEMBERED, Policy, PolicyResult, judged
from monitor.core.model.observation import CERTIFICATE_FAULTS, Code

if TYPE_CHECKING:
    from monitor.core.model.observation import Fault, Observation

SHORTEST: Final = timedelta(days=180)

_HEADER: Final = "strict-transport-security"
_EXPECTED: Final = f"max-age of at least {SHORTEST // timedelta(seconds=1)} seconds"
_DIRECTIVE: Final = re.compile(
    r"""\s*(?P<name>[!#$%&'*+.^_`|~0-9a-z-]+)
        \s*(?:=\s*(?:"(?P<quoted>[^"]*)"|(?P<bare>[!#$%&'*+.^_`|~0-9a-z-]+)))?\s*""",
    re.IGNORECASE | re.VERBOSE,
)
_LONGEST_NUMBER: Final = 18
_TLS_FAULTS: Final = CERTIFICATE_FAULTS | {Code.TLS_HANDSHAKE}


def judge(observation: Observation) -> PolicyResult:
    """Judge by RFC 6797: sent once, over TLS, with a `max-age` of 180 days or more."""
    fault = observation.fault
    if fault is not None and is_broken_by(fault):
        return _result("hsts-invalid-cert", f"browsers honour no HSTS here: {fault.message}", "")

    lines = observation.header(_HEADER)
    if not observation.over_tls:
        return _result(
            "hsts-not-implemented-no-https",
            "the answer did not come over HTTPS, where alone browsers honour HSTS",
            show_list(lines),
        )

    return _judge_lines(lines)


@lru_cache(maxsize=REMEMBERED)
def _judge_lines(lines: tuple[str, ...]) -> PolicyResult:
    if not lines:
        return _result("hsts-not-implemented", f"header {_HEADER} is absent", "absent")
    if len(lines) > 1:
        said = f"header {_HEADER} is sent {len(lines)} times"
        return _result("hsts-header-invalid", said, show_list(lines))

    found = plain(lines[0])
    seconds = _max_age(lines[0])
    if seconds is None:
        said = f"header {_HEADER} is {found}, which browsers ignore"
        return _result("hsts-header-invalid", said, found)
    if seconds < SHORTEST // timedelta(seconds=1):
        return _result(
            "hsts-implemented-max-age-less-than-six-months", f"header {_HEADER} is {found}", found
        )

    said, result = f"header {_HEADER} is {found}", "hsts-implemented-max-age-at-least-six-months"

    return _result(result, said, found, passed=True)


def is_broken_by(fault: Fault | None) -> bool:
    """Whether TLS itself failed, so that no header could make up for it."""
    return fault is not None and not fault.own and fault.code in _TLS_FAULTS


def _max_age(line: str) -> int | None:
    """Read the seconds of the one `max-age`; None where a browser would ignore the line."""
    directives: dict[str, str | None] = {}
    for part in line.split(";"):
        if not part.strip():
            continue
        directive = _DIRECTIVE.fullmatch(part)
        if directive is None:
            return None
        name = directive["name"].lower()
        if name in directives:
            return None
        quoted = directive["quoted"]
        directives[name] = directive["bare"] if quoted is None else quoted

    value = directives.get("max-age") or ""
    if not (value.isascii() and value.isdecimal()):
        return None

    return int(value[:_LONGEST_NUMBER])


def _result(result: str, said: str, found: str, *, passed: bool = False) -> PolicyResult:
    return judged(Policy.HSTS, result, said, expected=_EXPECTED, found=found, passed=passed)
