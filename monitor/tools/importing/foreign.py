"""Reads the configuration of another program, and takes it apart so that nothing gets lost."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from monitor.config.document import At, shown
from monitor.config.files import LARGEST, Wrong, decode, read_any, why
from monitor.core.expectations.shown import plain, printable, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from monitor.tools.importing.draft import Draft

_DEEPEST: Final = 50
_MOST_EVENTS: Final = 500_000
# libyaml where PyYAML was built with it, as its wheels and Debian's are; else ten times slower
_BASE: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGED: Final = "<<"
_TAG: Final = "tag:yaml.org,2002:"


class _Loader(_BASE):  # type: ignore[misc]  # its base depends on how PyYAML was built
    """Reads a plain scalar as YAML 1.2 has it, and as Go does: `off` and `12:30` are texts."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag.removeprefix(_TAG) not in ("bool", "int", "timestamp")
    ]
    for first, resolvers in _BASE.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    f"{_TAG}bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(f"{_TAG}int", re.compile(r"[-+]?[0-9]+$"), list("-+0123456789"))


class Unusable(Exception):
    """The file cannot be imported: the text says where, what was found and what was wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """What a file holds, and where each value stands in it."""

    file: str
    data: object
    places: Mapping[At, tuple[int, int]]
    twice: Sequence[At] = ()

    def where(self, at: At) -> str:
        """Give `file:line:column: path` of a value, or of the nearest around it."""
        for length in range(len(at), -1, -1):
            if (place := self.places.get(at[:length])) is not None:
                line, column = place
                path = f": {shown(at)}" if at else ""
                return printable(f"{self.file}:{line}:{column}{path}")

        return printable(self.file)


def read_foreign(path: Path) -> Foreign:
    """Read a YAML file of another program; raises Unusable."""
    try:
        text = decode(read_any(path, LARGEST))
    except (OSError, ValueError) as error:
        raise Unusable(printable(f"{path} {why(error)}")) from error
    if isinstance(text, Wrong):
        raise Unusable(printable(f"{path}:{text.line}:{text.column}: {text.message}"))

    try:
        _check_size(text, path)
        root = yaml.compose(text, Loader=_Loader)
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 -- it is the safe one, in C or not
    except (ValueError, TypeError, AttributeError) as error:  # of a tag that the value is not
        raise Unusable(printable(f"{path}: a value is not what its tag says")) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        said = getattr(error, "problem", None) or str(error)
        raise Unusable(printable(f"{place}: this is no YAML: {said}")) from error

    places: dict[At, tuple[int, int]] = {}
    twice: list[At] = []
    if root is not None:
        for at, node in _walk(root, ()):
            if at in places and at[-1] != _MERGED:
                twice.append(at)
            places[at] = (node.start_mark.line + 1, node.start_mark.column + 1)
            if len(places) > _MOST_EVENTS or len(at) > _DEEPEST:
                raise Unusable(printable(f"{path}: too many values, counting aliases"))

    return Foreign(file=str(path), data=data, places=places, twice=twice)


def _check_size(text: str, path: Path) -> None:
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST or number > _MOST_EVENTS:
            raise Unusable(printable(f"{path}: too large, or nested more than {_DEEPEST} deep"))


def _walk(node: yaml.Node, at: At) -> Iterator[tuple[At, yaml.Node]]:
    yield at, node
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _walk(value, (*at, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _walk(value, (*at, index))


class Part:
    """A mapping that is taken apart key by key; what nobody took is told as left over.

    Each `take…` raises Unusable where a value is of another type than the program itself takes.
    """

    def __init__(self, foreign: Foreign, data: object, at: At, draft: Draft) -> None:
        if data is None:
            data = {}
        if not isinstance(data, dict):
            raise Unusable(f"{foreign.where(at)}: expected a mapping, found {_kind(data)}")
        self._foreign = foreign
        self._data: dict[str, object] = {str(key): value for key, value in data.items()}
        self._left = dict.fromkeys(self._data)
        if not at:
            for one in foreign.twice:
                draft.leave(foreign.where(one), "is written twice, and the last one counts")
        self._draft = draft
        self.at = at

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._data))

    def _take(self, key: str, default: Any = None) -> Any:
        """Take a value as it is. Any: what YAML gives, which nobody outside gets unchecked."""
        self._left.pop(key, None)
        value = self._data.get(key)

        return default if value is None else value

    def text(self, key: str, default: str = "") -> str:
        """Take a text; a number is the text of it."""
        value = self._take(key, default)
        if not _is_text(value):
            raise self.wrong(key, "a text", value)

        return str(value)

    def flag(self, key: str, default: bool = False) -> bool:
        """Take true or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false", value)

        return value

    def number(self, key: str, default: int = 0) -> int:
        """Take a whole number."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(key, "a whole number", value)

        return value

    def texts(self, key: str) -> list[str]:
        """Take a list of texts."""
        value = self._take(key, [])
        if not isinstance(value, list):
            raise self.wrong(key, "a list of texts", value)
        for one in value:
            if not _is_text(one):
                raise self.wrong(key, "a list of texts", one)

        return [str(one) for one in value]

    def numbers(self, key: str) -> list[int]:
        """Take a list of whole numbers."""
        value = self._take(key, [])
        if not isinstance(value, list):
            raise self.wrong(key, "a list of whole numbers", value)
        for one in value:
            if isinstance(one, bool) or not isinstance(one, int):
                raise self.wrong(key, "a list of whole numbers", one)

        return value

    def one_or_more(self, key: str) -> list[str]:
        """Take a list of texts, or a text that stands for a list of one."""
        return [self.text(key)] if _is_text(self._data.get(key)) else self.texts(key)

    def pairs(self, key: str) -> dict[str, str]:
        """Take a mapping of texts."""
        within = self.part(key)

        return {name: within.text(name) for name in within}

    def part(self, key: str) -> Part:
        """Take a mapping, which is taken apart in turn; an absent one is empty."""
        return Part(self._foreign, self._take(key, {}), (*self.at, key), self._draft)

    def parts(self, key: str) -> list[Part]:
        """Take a list of mappings."""
        value = self._take(key, [])
        if not isinstance(value, list):
            raise self.wrong(key, "a list", value)

        return [
            Part(self._foreign, one, (*self.at, key, index), self._draft)
            for index, one in enumerate(value)
        ]

    def named(self) -> Iterator[tuple[str, Part]]:
        """Take each value as a mapping, by its key."""
        for key in list(self._data):
            yield key, self.part(key)

    def leave(self, key: str, why: str) -> None:
        """Tell that a key, if it is there, has no counterpart, and why or what to do instead."""
        if key in self._data:
            self._draft.leave(self.where(key), why)
            self._left.pop(key, None)
            del self._data[key]

    def drop(self, *keys: str) -> None:
        """Take keys that mean nothing here, because we always or never do what they say."""
        for key in keys:
            self._left.pop(key, None)

    def end(self) -> None:
        """Tell what nobody took."""
        for key in self._left:
            self._draft.leave(self.where(key), "has no counterpart")
        self._left = {}

    def where(self, key: str = "") -> str:
        """Give the place of a value, or of the mapping itself."""
        return self._foreign.where((*self.at, key) if key else self.at)

    def wrong(self, key: str, wanted: str, value: object) -> Unusable:
        """Say that a value is not what the program itself would take."""
        return Unusable(f"{self.where(key)}: expected {wanted}, found {_kind(value)}")


def _is_text(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _kind(value: object) -> str:
    """Say what a value is: no text is shown, which may be a secret in the wrong place."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case int() | float():
            return shorten(plain(repr(value)), limit=60)
        case str():
            return "a text"
        case _:
            return "something else"
