"""What every policy shares: its name and the shape of its result."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

NOT_EVALUATED: Final = "not-evaluated"
"""The result where there was no answer: neither a pass nor a fail."""

REMEMBERED: Final = 1024
"""So many lines are judged from memory: they are mostly the same at each probe."""


class Policy(StrEnum):
    """What can be asked of the headers of an answer."""

    HSTS = "hsts"
    CSP = "csp"
    NOSNIFF = "nosniff"
    CLICKJACKING = "clickjacking"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyResult:
    """One policy's judgement: `result` is the code of MDN's HTTP Observatory.

    `message` stands alone. `expected` and `found` are its parts for machines. `passed` says
    nothing where `evaluated` is False.
    """

    policy: Policy
    result: str
    passed: bool
    message: str
    expected: str = ""
    found: str = ""
    evaluated: bool = True


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
