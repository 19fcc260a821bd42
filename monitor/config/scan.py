"""Builds a tree from the events of the YAML parser, and refuses what no configuration needs.

Nothing is composed or constructed by the YAML library: depth, size, tags and aliases are judged
event by event, so that no text can exhaust the stack or the memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from monitor.config.document import Position, Problem
from monitor.config.places import make_place
from monitor.config.syntax import (
    ESCAPE,
    QUOTE_AMPERSAND,
    QUOTE_EXCLAMATION,
    QUOTE_HASH,
    QUOTE_STAR,
    About,
    Lines,
    Spot,
    explain,
    swallowed_by_comment,
)
from monitor.config.tree import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from monitor.config.document import At
    from monitor.config.places import Place, Sources

DEEPEST: Final = 50
MOST_VALUES: Final = 500_000
MOST_ALIASED: Final = 50_000

# libyaml where PyYAML was built with it, as its wheels and Debian's are; else ten times slower.
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE: Final = "tag:yaml.org,2002:"
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SCALAR_TAGS: Final = frozenset({"int", "float", "bool", "null"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What one file holds: no tree where it could not be read to its end.

    `unsettled` are values that were reported already.
    """

    tree: Mapping | None
    problems: tuple[Problem, ...]
    unsettled: frozenset[At] = frozenset()


class _Refused(Exception):
    """The file cannot be used any further."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place
        self.message = message


@dataclass(slots=True)
class _Open:
    """A collection that is being built."""

    node: Sequence | Mapping
    anchor: str | None
    flow: bool
    key: str | None = None
    repeated: bool = False  # its key was set before: the value is read and dropped
    size: int = 1
    height: int = 1


@dataclass(frozen=True, slots=True)
class _Anchored:
    node: Node
    size: int
    height: int


@dataclass(slots=True)
class _Builder:
    sources: Sources
    begin: Place
    lines: Lines
    root: Node | None = None
    documents: int = 0
    values: int = 0
    aliased: int = 0
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, _Anchored] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)  # what repeats is kept once
    problems: list[Problem] = field(default_factory=list)
    unsettled: set[At] = field(default_factory=set)

    def place(self, event: Any) -> Place:
        mark = event.start_mark

        return make_place(self.begin, mark.line + 1, mark.column + 1)

    def spot(self, place: Place) -> Spot:
        """Give line and column as the parser counts them, from 0."""
        _, line, column = self.sources.position(place)

        return line - 1, column - 1

    def at(self) -> At:
        """Give the way to what is being built now."""
        steps = (
            len(level.node.items) if isinstance(level.node, Sequence) else level.key
            for level in self.stack
        )

        return tuple(step for step in steps if step is not None)

    def report(self, place: Place, message: str) -> None:
        self.problems.append(Problem.at(self.sources.position(place), self.at(), message))

    def report_value(self, place: Place, message: str) -> None:
        self.report(place, message)
        self.unsettled.add(self.at())

    def document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            raise _Refused(self.place(event), "expected one document, found a second one after ---")

    def scalar(self, event: Any) -> None:
        top = self.stack[-1] if self.stack else None
        if top is not None and top.key is None and isinstance(top.node, Mapping):
            self._key(event, top)
            return

        place, text = self.place(event), self.texts.setdefault(event.value, event.value)
        plain, tag = self._tag(event, place)
        if _has_surrogate(text):
            self.report_value(place, ESCAPE)
            text = ""
        if plain and not text:
            self._empty(event, place)
        node = Scalar(text, place, plain, tag)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchored(node, 1, 0)
        self._put(node, 1, 0)

    def _tag(self, event: Any, place: Place) -> tuple[bool, str | None]:
        if event.tag is None or event.tag == "!":
            return event.tag is None and event.implicit[0], None

        name = event.tag.removeprefix(_CORE)
        if name == "str":
            return False, None
        if name not in _SCALAR_TAGS or name == event.tag:
            self._refuse_tag(event, place)
            return False, None

        return False, name

    def _refuse_tag(self, event: Any, place: Place) -> None:
        if event.tag.startswith(_CORE):
            name = event.tag.removeprefix(_CORE)
            self.report_value(place, f"tags such as !!{name[:40]} are not allowed")
        else:
            self.report_value(place, QUOTE_EXCLAMATION)

    def _empty(self, event: Any, place: Place) -> None:
        if event.anchor is not None:
            self.report_value(place, QUOTE_AMPERSAND)
        elif spot := swallowed_by_comment(self.lines, self.spot(place)):
            self.report_value(make_place(self.begin, spot[0] + 1, spot[1] + 1), QUOTE_HASH)

    def _key(self, event: Any, top: _Open) -> None:
        place, key = self.place(event), self.texts.setdefault(event.value, event.value)
        top.key = key
        assert isinstance(top.node, Mapping)
        plain = event.implicit[0]
        if event.tag is not None and event.tag != _CORE + "str":
            self.report(place, QUOTE_EXCLAMATION)
        elif key == "<<" and plain:
            self.report(place, "merge keys (<<) are not allowed: repeat the keys, or use overlays")
        elif not key or (key == "~" and plain):
            self.report(place, "expected a key, found nothing before the colon")
        elif _has_surrogate(key):
            self.report(place, ESCAPE)
        elif "${" in key:
            self.report(place, "variables are not expanded in keys, only in values")
        elif first := top.node.keys.get(key):
            self.report(place, f"this key is already set at {self.sources.position(first)}")
        else:
            top.node.keys[key] = place
            return

        top.repeated = True

    def alias(self, event: Any) -> None:
        place = self.place(event)
        if any(level.anchor == event.anchor for level in self.stack):
            raise _Refused(place, "an alias cannot stand inside what it repeats")

        anchored = self.anchors.get(event.anchor)
        if anchored is None:
            raise _Refused(place, f"found an alias without its anchor: {QUOTE_STAR}")
        if self._wants_key():
            raise _Refused(place, "expected a key, found an alias")

        self.aliased += anchored.size
        if self.aliased > MOST_ALIASED:
            raise _Refused(place, f"aliases repeat more than {MOST_ALIASED:,} values")
        if len(self.stack) + anchored.height > DEEPEST:
            raise _Refused(place, f"expected at most {DEEPEST} levels of nesting")
        self._put(anchored.node, anchored.size, anchored.height)

    def open(self, event: Any, node: Sequence | Mapping, tag: str) -> None:
        if len(self.stack) >= DEEPEST:
            raise _Refused(node.place, f"expected at most {DEEPEST} levels of nesting")
        if self._wants_key():
            raise _Refused(
                node.place, 'expected a key, found { or [: quote a value such as "${NAME}"'
            )
        if event.tag is not None and event.tag not in ("!", _CORE + tag):
            self._refuse_tag(event, node.place)
        self.stack.append(_Open(node, event.anchor, bool(event.flow_style)))

    def close(self) -> None:
        done = self.stack.pop()
        if done.anchor is not None:
            self.anchors[done.anchor] = _Anchored(done.node, done.size, done.height)
        self._put(done.node, done.size, done.height)

    def _wants_key(self) -> bool:
        top = self.stack[-1] if self.stack else None

        return top is not None and top.key is None and isinstance(top.node, Mapping)

    def _put(self, node: Node, size: int, height: int) -> None:
        self.values += 1
        if self.values > MOST_VALUES:
            raise _Refused(node.place, f"expected at most {MOST_VALUES:,} values in a file")
        if not self.stack:
            self.root = node
            return

        top = self.stack[-1]
        top.size += size
        if height >= top.height:
            top.height = height + 1
        if isinstance(top.node, Sequence):
            top.node.items.append(node)
            return

        assert top.key is not None
        if not top.repeated:
            top.node.items[top.key] = node
        top.key, top.repeated = None, False

    def doubt(self, about: About) -> At:
        """Give the way to what a mistake in the syntax is about."""
        match about:
            case About.VALUE:
                return self.at()
            case About.FLOW:
                outer = sum(1 for level in self.stack if not level.flow)
                return self.at()[:outer]
            case About.STRUCTURE:
                return ()

    def flow(self) -> Spot | None:
        """Give the spot of the outermost `{` or `[` that is open."""
        for level in self.stack:
            if level.flow:
                return self.spot(level.node.place)

        return None


def scan(text: str, file: str, sources: Sources) -> Scan:
    """Read YAML text into a tree; whatever is wrong becomes a problem with its place."""
    builder = _Builder(sources, sources.begin(file), Lines(text))
    try:
        _feed(builder, text)
    except _Refused as refused:
        builder.report(refused.place, refused.message)
    except yaml.MarkedYAMLError as error:
        broken = explain(error, builder.lines, builder.flow())
        position = Position(file, broken.spot[0] + 1, broken.spot[1] + 1)
        builder.problems.append(Problem.at(position, builder.doubt(broken.about), broken.message))
    except yaml.YAMLError:
        builder.report(make_place(builder.begin, 1, 1), "this is not YAML")
    else:
        return _finish(builder)

    return Scan(tree=None, problems=tuple(builder.problems))


def _has_surrogate(text: str) -> bool:
    """Say whether an escape made half a character, which libyaml refuses by itself."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def _feed(builder: _Builder, text: str) -> None:
    parser = _LOADER(text)
    try:
        while True:
            event = parser.get_event()
            kind = type(event)
            if kind is yaml.ScalarEvent:
                builder.scalar(event)
            elif kind is yaml.MappingStartEvent:
                builder.open(event, Mapping(builder.place(event)), "map")
            elif kind is yaml.SequenceStartEvent:
                builder.open(event, Sequence(builder.place(event)), "seq")
            elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
                builder.close()
            elif kind is yaml.AliasEvent:
                builder.alias(event)
            elif kind is yaml.DocumentStartEvent:
                builder.document(event)
            elif kind is yaml.StreamEndEvent:
                return
    finally:
        parser.dispose()


def _finish(builder: _Builder) -> Scan:
    root = builder.root
    if isinstance(root, Mapping):
        return Scan(
            tree=root, problems=tuple(builder.problems), unsettled=frozenset(builder.unsettled)
        )

    if root is None or (isinstance(root, Scalar) and root.plain and not root.text):
        place, message = make_place(builder.begin, 1, 1), "the file is empty"
    else:
        found = "a list" if isinstance(root, Sequence) else "text"
        place, message = root.place, f'expected keys such as "endpoints:", found {found}'

    problem = Problem.at(builder.sources.position(place), (), message)

    return Scan(tree=None, problems=(*builder.problems, problem))
