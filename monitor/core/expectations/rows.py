"""Rows: tables that a probe brought, each row an object of its columns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.json_body import Node
from monitor.core.expectations.shown import plain, shorten, show

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.core.expectations.evidence import Evidence

_LONGEST_LABELS: Final = 80
_MOST_LABELS: Final = 5
_MOST_DIGITS: Final = 1000  # of a number of a database: writing out more takes ever longer
_HUGE: Final = 1 << 10_001
"""Stands for a number with more digits: it compares as such, and is shown as a huge one."""


class Missing:
    """What stands in a column that a row does not have."""

    def __repr__(self) -> str:
        return "absent"


MISSING: Final = Missing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell(Node):
    """What stands in one column of a row; `row` is all of it, `number` counts from one."""

    number: int
    column: str
    row: Mapping[str, object]

    def where(self, mask: Callable[[str], str]) -> str:
        """Name the row: by its number, and by its other columns."""
        labels = self.labels(mask)

        return f"row {self.number}{f' ({labels})' if labels else ''}"

    def labels(self, mask: Callable[[str], str]) -> str:
        """Write the other columns of the row, which tell people which one it is."""
        others = [(name, value) for name, value in self.row.items() if name != self.column]
        written = ", ".join(
            f"{plain(mask(str(name)))} {_show(value, mask)}"
            for name, value in others[:_MOST_LABELS]
        )

        return shorten(written, limit=_LONGEST_LABELS)

    def found(self, mask: Callable[[str], str]) -> str:
        """Write what stands in the column."""
        return "absent" if self.value is MISSING else _show(self.value, mask)


def find_rows(evidence: Evidence, column: object) -> Sequence[object]:
    """Give the rows of an answer, or with a column what stands there in each of them."""
    rows = evidence.observation.values.get("rows")
    if not isinstance(rows, list | tuple):
        return ()

    found = [dict(row) if isinstance(row, Mapping) else {} for row in rows]
    if not isinstance(column, str):
        return [
            Cell(location="", value=row, number=number, column="", row=row)
            for number, row in enumerate(found, start=1)
        ]

    return [cell(row, number, column) for number, row in enumerate(found, start=1)]


def in_column(nodes: Sequence[object], column: str) -> list[object]:
    """Give what stands in a column of each row."""
    return [
        cell(node.row, node.number, column) if isinstance(node, Cell) else node for node in nodes
    ]


def cell(row: Mapping[str, object], number: int, column: str) -> Cell:
    """Give what stands in one column of a row."""
    value = like_json(row[column]) if column in row else MISSING

    return Cell(location="", value=value, number=number, column=column, row=row)


def like_json(value: object) -> object:
    """Give a value as JSON would hold it: what has no type there is the text of it."""
    match value:
        case None | bool() | int() | float() | str() | dict() | list():
            return value
        case Decimal():
            return _number(value)
        case bytes():
            return value.decode(errors="replace")
        case tuple():
            return list(value)
        case _:
            return str(value)


def _number(value: Decimal) -> int | float:
    if value.is_nan():
        return float("nan")
    if not value.is_finite():
        return float(value)
    if value.adjusted() >= _MOST_DIGITS:
        return -_HUGE if value.is_signed() else _HUGE

    whole, near = int(value), float(value)

    return whole if value == whole or math.isinf(near) else near


def _show(value: object, mask: Callable[[str], str]) -> str:
    given = like_json(value)

    return show(mask(given) if isinstance(given, str) else given)
