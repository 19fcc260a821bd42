"""Content security policies as they are sent: lines to policies, and policies to directives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain
from monitor.core.headers.result import REMEMBERED

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

Sources = frozenset[str]
Directives = Mapping[str, Sources]

HEADER: Final = "content-security-policy"
BROAD: Final = frozenset(
    {"*", "http:", "https:", "ftp:", "http://*", "https://*", "http://*.*", "https://*.*"}
)
"""Sources that are next to any site."""

_MAY_REPEAT: Final = frozenset({"report-uri", "report-to"})
_SHORTEST: Final = len("img-src") - 1
NOTHING: Final = frozenset({"'none'"})
"""Sources of which there are none."""


_NONCE: Final = re.compile(r"'nonce-[^';,\s]*'?", re.IGNORECASE)
_SOME_NONCE: Final = "'nonce-…'"


class InvalidPolicyError(ValueError):
    """A policy that nobody can mean as it stands; the message says why."""


def sent_lines(observation: Observation) -> tuple[str, ...]:
    """Give the header lines without what is new in each answer, so that they can be remembered."""
    return tuple([blank_nonces(line) for line in observation.header(HEADER)])


def blank_nonces(text: str) -> str:
    """Put the same in place of each nonce."""
    return _NONCE.sub(_SOME_NONCE, text) if "nonce-" in text.lower() else text


def policies_of(observation: Observation) -> tuple[Directives, ...]:
    """Give each policy that the header lines enforce; none where one of them is invalid."""
    try:
        return read_lines(sent_lines(observation))
    except InvalidPolicyError:
        return ()


def read_lines(lines: tuple[str, ...]) -> tuple[Directives, ...]:
    """Read the policies of these lines, several on one line with commas between them.

    Raises InvalidPolicyError for a line without any policy, and for each reason of `read_policy`.
    """
    policies = []
    for line in lines:
        parts = [part for part in line.split(",") if part.strip()]
        if not parts:
            raise InvalidPolicyError("it is empty")
        policies += [read_policy(part)[0] for part in parts]

    return tuple(policy for policy in policies if policy)


@lru_cache(maxsize=REMEMBERED)
def read_policy(policy: str) -> tuple[Directives, bool]:
    """Read the directives of one policy, in lower case, and whether a reporting one is repeated.

    A directive without a value allows nothing. Raises InvalidPolicyError where it is too short to
    be one, or has a directive twice: browsers would take the first, people mean the second.
    """
    if len(policy.strip()) < _SHORTEST:
        raise InvalidPolicyError("it is too short to be a policy")

    directives: dict[str, Sources] = {}
    repeated = False
    for part in policy.split(";"):
        name, *values = part.lower().split() or [""]
        if name in directives:
            if name not in _MAY_REPEAT:
                raise InvalidPolicyError(f"it has {plain(name)} more than once")
            repeated = True
        elif name:
            directives[name] = frozenset(values) or NOTHING

    return MappingProxyType(directives), repeated


def sources_of(policy: Directives, name: str) -> Sources | None:
    """Give what a policy allows of a kind of content; None where it says nothing about it."""
    if name in policy:
        return policy[name]
    kind, source, part = name.partition("-src")
    if part and f"{kind}{source}" in policy:  # script-src-elem is a part of script-src
        return policy[f"{kind}{source}"]

    return policy.get("default-src") if source else None
