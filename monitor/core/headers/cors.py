"""The policy `cors-no-credentialed-reflection`: no strange site may read what a visitor may."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain
from monitor.core.headers.result import (
    REMEMBERED,
    Policy,
    PolicyResult,
    Terms,
    judged,
    not_evaluated,
)

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

FOREIGN_ORIGIN: Final = "https://cross-origin-check.invalid"
"""The origin that is claimed when asking: it belongs to nobody, so that nobody can mean it."""

RESULTS: Final = (
    "cross-origin-resource-sharing-not-implemented",
    "cross-origin-resource-sharing-implemented-with-public-access",
    "cross-origin-resource-sharing-implemented-with-restricted-access",
    "cross-origin-resource-sharing-implemented-with-universal-access",
)
_PREFIX: Final = "cross-origin-resource-sharing"
_EXPECTED: Final = "no echo of a foreign Origin together with credentials"
_ALLOWED: Final = "access-control-allow-origin"
_CREDENTIALS: Final = "access-control-allow-credentials"


def judge(observation: Observation, terms: Terms) -> PolicyResult:
    """Judge the answer to a preflight request of a foreign origin, which is asked besides."""
    del terms
    if observation.preflight is None:
        return not_evaluated(Policy.CORS, "no answer to the preflight request of a foreign origin")

    told = [(name.lower(), value) for name, value in observation.preflight]

    return _judge_lines(
        tuple([value for name, value in told if name == _ALLOWED]),
        tuple([value for name, value in told if name == _CREDENTIALS]),
    )


@lru_cache(maxsize=REMEMBERED)
def _judge_lines(allowed: tuple[str, ...], credentials: tuple[str, ...]) -> PolicyResult:
    if not "".join(allowed).strip():
        said = "a foreign origin is given no access"
        return _result(f"{_PREFIX}-not-implemented", said, "absent", passed=True)

    found = plain(", ".join(allowed))
    if found.strip() == "*":
        said = "everyone may read it, without credentials"
        return _result(f"{_PREFIX}-implemented-with-public-access", said, found, passed=True)

    echoed = any(line.strip().lower() == FOREIGN_ORIGIN for line in allowed)
    if echoed and any(line.strip().lower() == "true" for line in credentials):
        said = (
            f"{_ALLOWED} repeats the foreign origin {FOREIGN_ORIGIN} with {_CREDENTIALS}: true, "
            "so that any site can read what its visitors may read here"
        )
        return _result(f"{_PREFIX}-implemented-with-universal-access", said, found)

    said = f"{_ALLOWED} is {found}, without credentials for strangers"

    return _result(f"{_PREFIX}-implemented-with-restricted-access", said, found, passed=True)


def _result(result: str, said: str, found: str, *, passed: bool = False) -> PolicyResult:
    return judged(Policy.CORS, result, said, expected=_EXPECTED, found=found, passed=passed)
