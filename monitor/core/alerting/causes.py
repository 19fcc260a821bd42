"""Whether two checks cannot be judged for one and the same reason, so that it is told once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import OWN_TROUBLE, Code

if TYPE_CHECKING:
    from monitor.core.model.incident import Member
    from monitor.core.model.verdict import Reason

_ABOUT_WHAT_WAS_SAID: Final = frozenset({Code.CREDENTIALS, Code.QUERY, Code.EXIT_CODE})
"""Of these two differ although one and the same was asked: the messages tell them apart."""


def share_a_cause(one: Member, other: Member) -> bool:
    """Whether who was told of the one knows of the other.

    The trouble of the monitor itself is the same for all that it concerns. What carries a figure
    is silent by itself: that another is silent as well is news, even where it is so in the same
    way.
    """
    return not _causes(one).isdisjoint(_causes(other))


def _causes(member: Member) -> frozenset[tuple[Code, str]]:
    return frozenset((reason.code, _whose(reason, member)) for reason in member.reasons)


def _whose(reason: Reason, member: Member) -> str:
    if reason.code in OWN_TROUBLE:
        return ""
    if reason.code in _ABOUT_WHAT_WAS_SAID:
        return reason.message

    return _place_of(member.target) or reason.message


def _place_of(target: str) -> str:
    """Give where something is asked: of a URL host and port, else what stands before any blank."""
    place = target.split(" ", 1)[0]
    _, is_url, rest = place.partition("://")

    return (rest.partition("/")[0] if is_url else "") or place
