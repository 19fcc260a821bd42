"""Drift: security headers that vanished, weakened or differ from those that were accepted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain
from monitor.core.headers import csp_reading, hsts, isolation, permissions, referrer
from monitor.core.headers.isolation import HEADERS as ISOLATION
from monitor.core.headers.result import REMEMBERED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from monitor.core.headers.result import Policy
    from monitor.core.model.observation import Observation
    from monitor.core.model.pin import Lines

    Weakens = Callable[[tuple[str, ...], tuple[str, ...]], bool]

_REPORT_ONLY: Final = f"{csp_reading.HEADER}-report-only"
_OF_CONTENT: Final = frozenset({csp_reading.HEADER, _REPORT_ONLY})
_FRAMES: Final = "x-frame-options"
_SNIFFING: Final = "x-content-type-options"
PINNED: Final = (
    hsts.HEADER,
    csp_reading.HEADER,
    _REPORT_ONLY,
    _FRAMES,
    _SNIFFING,
    referrer.HEADER,
    permissions.HEADER,
    *(header.name for header in ISOLATION.values()),
    "x-permitted-cross-domain-policies",
)
"""The headers that are pinned: those that say a policy, and say the same in each answer."""

_PINNED: Final = frozenset(PINNED)
_SERVER_FAULT: Final = 500
_ABSENT: Final = "absent"


class Kind(StrEnum):
    """What became of a header."""

    VANISHED = "vanished"
    WEAKENED = "weakened"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One header that is not what was accepted: those parts of it that are not the same."""

    name: str
    kind: Kind
    was: str
    now: str

    @property
    def message(self) -> str:
        """Both in words, for a person."""
        match self.kind:
            case Kind.VANISHED:
                return f"header {self.name} vanished, accepted was {self.was}"
            case Kind.WEAKENED:
                return f"header {self.name} weakened: accepted was {self.was}, now {self.now}"
            case Kind.DIFFERS:
                return f"header {self.name} differs: accepted was {self.was}, now {self.now}"


def pinned_lines(observation: Observation, mask: Callable[[str], str] = str) -> Lines | None:
    """Give the lines that are pinned, in the order of `PINNED`; None where they say nothing.

    An answer with a server's fault often comes from somebody else than the application.
    """
    status = observation.status
    if status is None or status >= _SERVER_FAULT:
        return None

    lines = [
        (name.lower(), mask(csp_reading.blank_nonces(" ".join(value.split()))))
        for name, value in observation.headers
        if name.lower() in _PINNED
    ]

    return tuple(sorted(lines, key=lambda line: PINNED.index(line[0])))


@lru_cache(maxsize=REMEMBERED)
def compare(accepted: Lines, now: Lines) -> tuple[Drift, ...]:
    """Give each header that differs in what it says; order and spelling are no difference."""
    drifts = []
    for name in PINNED:
        before = tuple([value for key, value in accepted if key == name])
        after = tuple([value for key, value in now if key == name])
        if before != after and _meaning(name, before) != _meaning(name, after):
            drifts.append(_describe(name, before, after))

    return tuple(drifts)


def _describe(name: str, before: tuple[str, ...], after: tuple[str, ...]) -> Drift:
    if not after:
        return Drift(name=name, kind=Kind.VANISHED, was=plain(", ".join(before)), now=_ABSENT)
    if not before:
        return Drift(name=name, kind=Kind.DIFFERS, was=_ABSENT, now=plain(", ".join(after)))

    weakens = _WEAKENS.get(name)
    weakened = weakens is not None and weakens(before, after)
    old, new = _parts(name, before), _parts(name, after)
    if len(old) == len(new) == 1:  # as it was written
        old, new = list(before), list(after)
    was = _show(name, [part for part in old if part not in new])
    now = _show(name, [part for part in new if part not in old])
    if not was and not now:  # the same parts, put together in another way
        was, now = plain(", ".join(before)), plain(", ".join(after))

    return Drift(
        name=name,
        kind=Kind.WEAKENED if weakened else Kind.DIFFERS,
        was=was or "without that",
        now=now or "without that",
    )


def _show(name: str, parts: list[str]) -> str:
    return plain((", " if name == permissions.HEADER else "; ").join(parts))


def _meaning(name: str, lines: tuple[str, ...]) -> list[list[str]]:
    """Give what a header says, policy by policy, so that what means the same is the same."""
    if name not in _OF_CONTENT:
        return [_parts(name, lines)]

    policies = (policy for line in lines for policy in line.split(",") if policy.strip())

    return sorted(_parts(name, (policy,)) for policy in policies)


def _parts(name: str, lines: tuple[str, ...]) -> list[str]:
    """Give the parts of which a header is made, each written in one way."""
    text = ", ".join(lines)
    if name in _OF_CONTENT:
        parts = (part for policy in text.split(",") for part in policy.split(";"))
        return sorted(_directive(part) for part in parts if part.strip())
    if name == hsts.HEADER:
        return sorted("".join(part.lower().split()) for part in text.split(";") if part.strip())
    if name == permissions.HEADER:
        return sorted("".join(part.split()) for part in text.split(",") if part.strip())

    return [text.strip().lower()]


def _directive(part: str) -> str:
    name, *sources = part.split()

    return " ".join([name.lower(), *sorted(sources)])


def _hsts_weakens(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    (old, had), (new, has) = hsts.read_line(", ".join(before)), hsts.read_line(", ".join(after))
    if old is None:
        return False

    lost = {"includesubdomains", "preload"} & (had.keys() - has.keys())

    return new is None or new < old or bool(lost)


def _csp_weakens(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    """Whether something is allowed that was not; of several policies, whether fewer hold."""
    try:
        old = csp_reading.read_lines(before)
    except csp_reading.InvalidPolicyError:
        return False
    try:
        new = csp_reading.read_lines(after)
    except csp_reading.InvalidPolicyError:
        return True

    return not all(any(_covers(held, was) for held in new) for was in old)


def _covers(held: csp_reading.Directives, was: csp_reading.Directives) -> bool:
    """Whether a policy forbids all that another one forbade."""
    names = {name for name in (*held, *was) if not name.startswith("report-")}

    return all(_forbids(name, held, was) for name in names)


def _forbids(name: str, held: csp_reading.Directives, was: csp_reading.Directives) -> bool:
    allowed, allows = csp_reading.sources_of(was, name), csp_reading.sources_of(held, name)
    if allowed is None:
        return True

    return allows is not None and allows - {"'none'"} <= allowed


def _framing_weakens(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    order = ("deny", "sameorigin")

    return _rank(order, ", ".join(after)) > _rank(order, ", ".join(before))


def _sniffing_weakens(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    order = ("nosniff",)

    return _rank(order, ", ".join(after)) > _rank(order, ", ".join(before))


def _referrer_weakens(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    order = referrer.STRICTEST_FIRST

    return _rank(order, referrer.known_value(after)) > _rank(order, referrer.known_value(before))


def _isolation_weakens(policy: Policy) -> Weakens:
    order = ISOLATION[policy].values

    def weakens(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
        old, new = (isolation.known_value(policy, ", ".join(one)) for one in (before, after))
        return _rank(order, new) > _rank(order, old)

    return weakens


def _permissions_weakens(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    old = permissions.read_features(", ".join(before))
    new = permissions.read_features(", ".join(after))
    if old is None or new is None:
        return old is not None

    return any(name not in new or new[name] - allowed for name, allowed in old.items())


def _rank(order: tuple[str, ...], value: str) -> int:
    """Give the place of a value, the strictest first; what browsers do not know comes last."""
    value = value.strip().lower()

    return order.index(value) if value in order else len(order)


_WEAKENS: Final[Mapping[str, Weakens]] = {
    hsts.HEADER: _hsts_weakens,
    csp_reading.HEADER: _csp_weakens,
    _FRAMES: _framing_weakens,
    _SNIFFING: _sniffing_weakens,
    referrer.HEADER: _referrer_weakens,
    permissions.HEADER: _permissions_weakens,
    **{header.name: _isolation_weakens(policy) for policy, header in ISOLATION.items()},
}
"""How to tell, of what can be ordered, whether the later lines ask less than the earlier."""
