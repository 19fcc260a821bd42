"""What a changed configuration adds, removes and changes, in words that hold no secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from monitor.config.document import shown
from monitor.core.expectations.shown import plain, shorten, show
from monitor.core.model.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from monitor.config.compiled import Compiled
    from monitor.config.document import At

MOST: Final = 20
"""So many lines of each sort at most; the last of them says how many more there are."""

_SECTIONS: Final = ("endpoints", "services", "notifiers")
_LONGEST_LINE: Final = 240
_LONGEST_VALUE: Final = 60
_MOST_NAMES: Final = 5
_UNSEEN: Final = "by another part, a variable or a secret"
"""How something changed whose own lines are as they were, as far as they may be shown."""


class _Absent:
    """Stands for what one of the two does not have."""


_ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What came, what went, and what changed and how: `endpoints.api.every: 30s -> 1m`."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """How a reload ended: with what was wrong, and then nothing has changed, or what changed.

    `needs_restart` are keys that were changed since the start, and that no reload takes over.
    """

    problems: tuple[str, ...] = ()
    difference: Difference = field(default_factory=Difference)
    needs_restart: tuple[str, ...] = ()


def compare(before: Compiled, after: Compiled) -> Difference:
    """Compare two configurations; each text is one line, and there are few of them.

    Values are as they may be shown: with each secret that its own configuration knows masked.
    """
    old, new = _things(before), _things(after)
    old_checks, new_checks = _checks(before), _checks(after)
    told = old.keys() ^ new.keys()
    leaves = [
        leaf
        for leaf in _differing(before, after)
        if leaf[0][:2] not in told and leaf[0][:3] not in told
    ]
    touched = {at[:length] for at in (*told, *(leaf[0] for leaf in leaves)) for length in (1, 2)}
    unseen = [at for at in old if at in new and old[at] != new[at] and at not in touched]

    return Difference(
        added=few(_came(old, new, old_checks, new_checks)),
        removed=few(_came(new, old, new_checks, old_checks)),
        changed=few([*(_say(*leaf) for leaf in leaves), *_say_unseen(unseen)]),
    )


def _things(compiled: Compiled) -> dict[At, object]:
    """Give everything that is configured, by where it stands; a service only if it is declared."""
    things: dict[At, object] = {
        ("endpoints", one.name): (one, compiled.probes[one.name]) for one in compiled.endpoints
    }
    for name, service in compiled.directory.services.items():
        if service != Service(name=name):
            run = (compiled.hooks.get(name), compiled.evidence.get(name))
            things["services", name] = (service, *run)
        for policy in service.policies:
            things["services", name, policy.kind.value] = None
    things |= {("notifiers", name): plugin for name, plugin in compiled.notifiers.items()}

    return things | {
        ("web",): compiled.web,
        ("witnesses",): compiled.witnesses,
        ("store",): compiled.store,
        ("retention",): compiled.retention,
        ("maintenance",): compiled.directory.maintenance,
        ("routes",): compiled.directory.routes,
        ("environment",): compiled.directory.environment,
        ("location",): compiled.directory.location,
    }


def _checks(compiled: Compiled) -> dict[str, str]:
    """Give the endpoint of each check."""
    return {check.id: one.name for one in compiled.endpoints for check in one.checks}


def _came(
    old: Mapping[At, object],
    new: Mapping[At, object],
    old_checks: Mapping[str, str],
    new_checks: Mapping[str, str],
) -> list[str]:
    """Name what only the new one has; what came with the thing it is a part of is not named."""
    things = [at for at in new if at not in old and (len(at) == 2 or at[:2] in old)]
    checks = [
        check
        for check, endpoint in new_checks.items()
        if check not in old_checks and ("endpoints", endpoint) in old
    ]

    return [*map(shown, things), *(f"check {plain(check)}" for check in checks)]


def _differing(before: Compiled, after: Compiled) -> Iterator[tuple[At, object, object]]:
    """Give each value that is shown and differs: where it stands, what it was, what it is."""
    if before.written != after.written:  # to unpack ten thousand endpoints takes a while
        yield from _leaves(_shown(before), _shown(after), ())


def _shown(compiled: Compiled) -> dict[str, object]:
    """Give the tree that is shown; a section of things that is left out has none in it."""
    shown = compiled.shown

    return {**shown, **{name: shown.get(name) or {} for name in _SECTIONS}}


def _leaves(old: object, new: object, at: At) -> Iterator[tuple[At, object, object]]:
    """Walk down both trees to the values that differ; lists of one length are walked as well."""
    match old, new:
        case dict(), dict() if old == new:
            return
        case dict(), dict():
            for key in {**old, **new}:
                yield from _leaves(old.get(key, _ABSENT), new.get(key, _ABSENT), (*at, key))
        case list(), list() if len(old) == len(new):
            for index, (one, other) in enumerate(zip(old, new, strict=True)):
                yield from _leaves(one, other, (*at, index))
        case _ if repr(old) != repr(new):  # by repr: true is not 1, and NaN is NaN
            yield at, old, new


def _say(at: At, old: object, new: object) -> str:
    if new is _ABSENT:
        return f"{shown(at)}: removed"

    value = _value(new)
    if old is _ABSENT:
        return f"{shown(at)}: set" + (f" to {value}" if value else "")

    was = _value(old)

    return f"{shown(at)}: {was} -> {value}" if was and value else f"{shown(at)}: changed"


def _value(value: object) -> str:
    """Write a value if it is short enough to be read in passing."""
    text = plain(value) if isinstance(value, str) and value else show(value)

    return text if len(text) <= _LONGEST_VALUE else ""


def _say_unseen(places: list[At]) -> list[str]:
    """Name what became another thing although nothing that is shown of it did, in one line."""
    if not places:
        return []

    more = f" and {len(places) - _MOST_NAMES} more" if len(places) > _MOST_NAMES else ""

    return [f"{', '.join(map(shown, places[:_MOST_NAMES]))}{more}: {_UNSEEN}"]


def few(lines: Iterable[str]) -> tuple[str, ...]:
    """Give short lines, and not many; the last one says how many more there are."""
    known = [shorten(line, limit=_LONGEST_LINE) for line in lines]
    if len(known) <= MOST:
        return tuple(known)

    return (*known[: MOST - 1], f"and {len(known) - MOST + 1} more")
