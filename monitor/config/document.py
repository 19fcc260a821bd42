"""What reading the configuration gives: plain data, where it stands, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from monitor.core.expectations.shown import plain, printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from monitor.options import Secret

At: TypeAlias = tuple[str | int, ...]
"""The way to a value from the top: names of keys and indices of lists."""


def shown(at: At) -> str:
    """Write the way to a value as messages do: `endpoints.api.health.expect[0].status`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{plain(step)}" for step in at)

    return text.removeprefix(".")


class Position(NamedTuple):
    """Where something stands, counted from 1; `file` is absolute or relative to `cwd`."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Problem:
    """One mistake in the configuration; problems sort by where they stand."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"

        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"

    @classmethod
    def at(cls, position: Position, path: At | str, message: str) -> Problem:
        """Report a mistake at a position, on one line; an empty path is the file as a whole."""
        return cls(
            file=printable(position.file),
            line=position.line,
            column=position.column,
            path=printable(path) if isinstance(path, str) else shown(path),
            message=printable(message),
        )


class LiveText(str):
    """A text with parts from files: the str is the text now, `secret` reads the files again."""

    __slots__ = ("secret",)
    secret: Secret

    def __new__(cls, text: str, secret: Secret) -> LiveText:
        made = super().__new__(cls, text)
        made.secret = secret

        return made

    def __repr__(self) -> str:
        return "LiveText(***)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The configuration as one piece: variables expanded, overlays merged, includes added.

    `data` holds dicts with str keys, lists, str, int, float, bool and None.
    `positions` are those of values, `keys` those of the keys that lead to them, if any.
    `sources` has the text as written of each value with variables in it: show that in messages and
    in `--show`, never the expanded text, which may be a secret.
    `unsettled` values are stand-ins, because something is unset or wrong and already reported (or
    allowed): further complaints about them would only confuse.
    `complete` is false when a file could not be read: what seems absent may be in there.
    `files` are all that were read, included ones too, in the order of reading.
    """

    data: dict[str, object]
    positions: Mapping[At, Position]
    keys: Mapping[At, Position]
    problems: tuple[Problem, ...] = ()
    secrets: tuple[Secret, ...] = ()
    sources: Mapping[At, str] = field(default_factory=dict)
    unsettled: frozenset[At] = frozenset()
    complete: bool = True
    files: tuple[Path, ...] = ()

    def position(self, at: At) -> Position:
        """Give the position of a value, or of the nearest value around it."""
        try:
            return self.positions[at]
        except KeyError:
            return self._nearest(self.positions, at[:-1])

    def key_position(self, at: At) -> Position:
        """Give the position of the key that leads to a value, else of the nearest value around."""
        return self.keys[at] if at in self.keys else self.position(at)

    @staticmethod
    def _nearest(positions: Mapping[At, Position], at: At) -> Position:
        for length in range(len(at), 0, -1):
            found = positions.get(at[:length])
            if found is not None:
                return found

        return positions.get((), Position("", 1, 1))
