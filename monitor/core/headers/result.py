"""What every policy shares: its name, what may be demanded of it, and the shape of its result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_EVALUATED: Final = "not-evaluated"
"""The result where there was no answer: neither a pass nor a fail."""

REMEMBERED: Final = 1024
"""So many lines are judged from memory: they are mostly the same at each probe."""

HALF_A_YEAR: Final = timedelta(days=180)


class Policy(StrEnum):
    """What can be asked of the headers of an answer."""

    HSTS = "hsts"
    CSP = "csp"
    CLICKJACKING = "clickjacking"
    NOSNIFF = "nosniff"
    REFERRER_POLICY = "referrer-policy"
    COOKIES = "cookies"
    HTTPS_REDIRECT = "https-redirect"
    CORP = "corp"
    COOP = "coop"
    COEP = "coep"
    CORS = "cors-no-credentialed-reflection"
    SRI = "sri"
    PERMISSIONS_POLICY = "permissions-policy"
    NO_DISCLOSURE = "no-disclosure"
    CACHE_CONTROL = "cache-control"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is demanded; each policy reads those parameters that it has, and no others.

    `level` chooses among steps that only that policy knows; empty is its mildest. `allow` and
    `require` hold values in lower case.
    """

    min_max_age: timedelta = HALF_A_YEAR
    include_subdomains: bool = False
    preload: bool = False
    level: str = ""
    required: bool = False
    allow: tuple[str, ...] = ()
    require: tuple[str, ...] = ()


USUAL: Final = Terms()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """One policy and what is demanded of it."""

    policy: Policy
    terms: Terms = USUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyResult:
    """One policy's judgement: `result` is the code of MDN's HTTP Observatory, where it has one.

    The code says what was found; `passed` whether that meets the terms, and nothing where
    `evaluated` is False. `message` stands alone. `expected` and `found` are its parts for machines.
    """

    policy: Policy
    result: str
    passed: bool
    message: str
    expected: str = ""
    found: str = ""
    evaluated: bool = True


def lacking(lines: tuple[str, ...]) -> str:
    """Say in a word why the lines of a header say nothing; empty where they say something."""
    if not lines:
        return "absent"

    return "" if lines[0].strip() or len(lines) > 1 else "empty"


def one_of(values: Sequence[str]) -> str:
    """Write values as a choice: `a, b or c`."""
    return f"{', '.join(values[:-1])} or {values[-1]}" if len(values) > 1 else values[0]


def judged(
    policy: Policy, result: str, said: str, *, expected: str, found: str, passed: bool
) -> PolicyResult:
    """Write what a policy made of an answer; `said` begins the message, and is all of a pass."""
    return PolicyResult(
        policy=policy,
        result=result,
        passed=passed,
        message=said if passed else f"{said}, expected {expected}",
        expected=expected,
        found=found,
    )


def not_evaluated(policy: Policy, why: str) -> PolicyResult:
    """Say why nothing could be judged."""
    return PolicyResult(
        policy=policy, result=NOT_EVALUATED, passed=False, message=why, evaluated=False
    )
