"""The nodes that YAML text becomes before variables are expanded, and how trees of files join."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from monitor.config.document import Problem

if TYPE_CHECKING:
    from monitor.config.document import At
    from monitor.config.places import Place, Sources


@dataclass(slots=True, eq=False)
class Scalar:
    """One value as written; only a plain one (without quotes or tag) may be more than text."""

    text: str
    place: Place
    plain: bool
    tag: str | None = None  # one of int, float, bool, null


@dataclass(slots=True, eq=False)
class Sequence:
    """A list; shared by all who alias it, so it is never changed once built."""

    place: Place
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Mapping:
    """A mapping from text, with the places of its keys; never changed once built."""

    place: Place
    items: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)

    def without(self, key: str) -> Mapping:
        """Give the same mapping without a key."""
        return Mapping(
            self.place,
            {name: node for name, node in self.items.items() if name != key},
            {name: place for name, place in self.keys.items() if name != key},
        )


Node: TypeAlias = Scalar | Sequence | Mapping


def overlay(base: Node, later: Node) -> Node:
    """Lay a later file over an earlier one: mappings merge, all else is replaced.

    A key with nothing after it leaves a mapping as it is: whoever comments out all that an overlay
    changes there does not mean to lose every notifier. `null` does replace it.
    """
    if not isinstance(base, Mapping) or not isinstance(later, Mapping):
        return base if isinstance(base, Mapping) and _is_empty(later) else later

    items = dict(base.items)
    for key, node in later.items.items():
        items[key] = overlay(items[key], node) if key in items else node

    return Mapping(later.place, items, base.keys | later.keys)


def add(
    base: Mapping, extra: Mapping, at: At, problems: list[Problem], sources: Sources
) -> Mapping:
    """Join an included file to the one that includes it; a key that both set is a problem."""
    items, keys = dict(base.items), dict(base.keys)
    for key, node in extra.items.items():
        mine = items.get(key)
        if mine is None or _is_empty(mine):
            items[key], keys[key] = node, extra.keys[key]
        elif isinstance(mine, Mapping) and isinstance(node, Mapping):
            items[key] = add(mine, node, (*at, key), problems, sources)
        elif not _is_empty(node):
            message = (
                f"an included file may add keys but not set one again: "
                f"already set at {sources.position(keys[key])}"
            )
            problems.append(Problem.at(sources.position(extra.keys[key]), (*at, key), message))

    return Mapping(base.place, items, keys)


def _is_empty(node: Node) -> bool:
    return isinstance(node, Scalar) and node.plain and not node.text
