"""Turns a tree of nodes into plain data: scalars resolved, variables expanded, places at hand."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from monitor.config.document import At, LiveText, Position, Problem
from monitor.config.scalars import SWITCHES, Doubtful, resolve
from monitor.config.tree import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.config.places import Sources
    from monitor.config.variables import Expansion, Variables

_TAGS: Final[dict[str, tuple[type, ...]]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "null": (type(None),),
}
_MODES: Final = frozenset({"mode", "modes"})  # `off` is a mode of rollback, and no false


@dataclass(slots=True)
class Settled:
    """What settling gathers beside the data, each under the way to the value."""

    problems: list[Problem] = field(default_factory=list)
    sources: dict[At, str] = field(default_factory=dict)
    unsettled: set[At] = field(default_factory=set)


class Places(MappingOf[At, Position]):
    """The places of values, or of keys, looked up in the tree when they are asked for."""

    def __init__(self, root: Mapping, sources: Sources, *, of_keys: bool) -> None:
        self._root = root
        self._sources = sources
        self._of_keys = of_keys

    def __getitem__(self, at: At) -> Position:
        if self._of_keys:
            parent = self._node(at[:-1]) if at else None
            if not isinstance(parent, Mapping):
                raise KeyError(at)
            return self._sources.position(parent.keys[str(at[-1])])

        return self._sources.position(self._node(at).place)

    def __iter__(self) -> Iterator[At]:
        for at, node in _walk(self._root, ()):
            if not self._of_keys:
                yield at
            elif isinstance(node, Mapping):
                yield from ((*at, key) for key in node.keys)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _node(self, at: At) -> Node:
        node: Node = self._root
        for step in at:
            match node, step:
                case Mapping(items=items), str():
                    node = items[step]
                case Sequence(items=items), int() if 0 <= step < len(items):
                    node = items[step]
                case _:
                    raise KeyError(at)

        return node


def _walk(node: Node, at: At) -> Iterator[tuple[At, Node]]:
    yield at, node
    if isinstance(node, Mapping):
        for key, child in node.items.items():
            yield from _walk(child, (*at, key))
    elif isinstance(node, Sequence):
        for index, child in enumerate(node.items):
            yield from _walk(child, (*at, index))


class Settling:
    """Walks one tree; the data it gives shares nothing with the tree or with itself."""

    def __init__(self, variables: Variables, cwd: Path, sources: Sources, at: At = ()) -> None:
        self.found = Settled()
        self._sources = sources
        self._variables = variables
        self._cwd = cwd
        self._at: list[str | int] = list(at)

    def mapping(self, node: Mapping) -> dict[str, object]:
        """Settle a mapping and all in it."""
        data: dict[str, object] = {}
        for key, child in node.items.items():
            self._at.append(key)
            data[key] = self.value(child)
            self._at.pop()

        return data

    def value(self, node: Node) -> object:
        """Settle a node and all in it."""
        if isinstance(node, Scalar):
            return self._scalar(node)
        if isinstance(node, Mapping):
            return self.mapping(node)

        data: list[object] = []
        for index, child in enumerate(node.items):
            self._at.append(index)
            data.append(self.value(child))
            self._at.pop()

        return data

    def _scalar(self, node: Scalar) -> object:
        if "${" in node.text:
            return self._expanded(node)
        if not node.plain and node.tag is None:
            return node.text
        if node.text in SWITCHES and not _MODES.isdisjoint(map(str, self._at[-2:])):
            return node.text  # what is no mode is told so, with the modes that there are

        try:
            value = resolve(node.text)
        except Doubtful as doubtful:
            return self._wrong(node, str(doubtful))
        if node.tag is not None and type(value) not in _TAGS[node.tag]:
            return self._wrong(node, f"the value is not what its tag !!{node.tag} says")

        return value

    def _expanded(self, node: Scalar) -> object:
        folder = (self._cwd / self._sources.position(node.place).file).parent
        expansion = self._variables.expand(node.text, folder)
        for message in expansion.problems:
            self._wrong(node, message)

        at = tuple(self._at)
        self.found.sources[at] = node.text
        if expansion.unset:
            self.found.unsettled.add(at)
        if expansion.secret is not None:
            return LiveText(expansion.text, expansion.secret)

        return _typed(expansion) if node.plain and expansion.typed else expansion.text

    def _wrong(self, node: Scalar, message: str) -> str:
        at = tuple(self._at)
        self.found.problems.append(Problem.at(self._sources.position(node.place), at, message))
        self.found.unsettled.add(at)

        return node.text


def _typed(expansion: Expansion) -> object:
    """Let an unquoted variable be a number, true or false; what is doubtful stays text."""
    try:
        value = resolve(expansion.text)
    except Doubtful:
        return expansion.text

    return expansion.text if value is None else value
