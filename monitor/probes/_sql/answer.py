"""What a query gave, as values that JSON knows; bounded, whatever the database sends."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from monitor.core.expectations.rows import like_json
from monitor.core.expectations.shown import printable, shorten
from monitor.core.model.observation import Code, Fault
from monitor.probes._net.faults import Faulted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from monitor.probes._net.look import Look

MOST_ROWS: Final = 10_000
MOST_BYTES: Final = 1024 * 1024
_DEEPEST: Final = 16
_LONGEST_MESSAGE: Final = 200


def refuse_rows(peer: str) -> Faulted:
    """Say that there are too many rows."""
    message = f"the query to {peer} gives more than {MOST_ROWS} rows: let it choose (WHERE, LIMIT)"

    return Faulted(Fault(code=Code.QUERY, message=message))


def refuse_bytes(peer: str) -> Faulted:
    """Say that there is too much of it."""
    message = f"the answer of {peer} to the query is longer than {MOST_BYTES // 1024} KiB"

    return Faulted(Fault(code=Code.QUERY, message=message))


def refuse_nothing(peer: str) -> Faulted:
    """Say that the statement gives no rows at all, not even none."""
    message = f"the statement for {peer} is no query: it has no columns"

    return Faulted(Fault(code=Code.QUERY, message=message))


def refused(peer: str, said: str, mask: Callable[[str], str], code: Code = Code.QUERY) -> Faulted:
    """Say why a server does not do what it is asked, in its own words."""
    words = shorten(printable(mask(said[: 10 * _LONGEST_MESSAGE])), limit=_LONGEST_MESSAGE)

    return Faulted(Fault(code=code, message=f"{peer} refuses: {words}"))


def refused_write(peer: str, said: str, mask: Callable[[str], str]) -> Faulted:
    """Say that the query wants to write."""
    words = shorten(printable(mask(said)), limit=_LONGEST_MESSAGE)
    message = f"the query to {peer} writes, and it may only read: {words}"

    return Faulted(Fault(code=Code.QUERY, message=message))


def took_too_long(peer: str) -> Faulted:
    """Say that the server ended the query when the time was nearly up."""
    message = f"{peer} did not end the query in the time it has, and stopped it"

    return Faulted(Fault(code=Code.TIMEOUT, message=message))


def fill_in(look: Look, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write down what a query gave: `rows`, and where that is one value the `value`."""
    names = _tell_apart(columns)
    read = [dict(zip(names, [read_value(one) for one in row], strict=False)) for row in rows]
    look.values["rows"] = read
    look.measure("probe_sql_rows", len(read))
    if len(read) == 1 and len(names) == 1:
        look.values["value"] = read[0][names[0]]
    else:
        look.values["hint"] = _hint(len(read), names)


def _hint(rows: int, names: Sequence[str]) -> str:
    """Say why there is no one value, and what to write for what there is."""
    if not rows:
        return "the query gave no row"

    if rows == 1:
        return f"the query gave {len(names)} columns, choose one by value: {{column: {names[0]}}}"

    columns = names[0] if len(names) == 1 else "…"

    return f"the query gave {rows} rows, judge each by value: {{column: {columns}}}"


def read_value(value: object, depth: int = 0) -> object:
    """Give one value as JSON would have it: an interval is its seconds, a date text."""
    if depth > _DEEPEST:
        return "…"

    match value:
        case None | bool() | int() | float() | str() | Decimal():
            return like_json(value)
        case timedelta():
            return value.total_seconds()
        case datetime() | date() | time():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return _read_bytes(bytes(value))
        case Mapping():
            return {str(name): read_value(one, depth + 1) for name, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [read_value(one, depth + 1) for one in value]

    return str(value)


def read_json(text: Any) -> Any:
    """Read a value of the type JSON; what is none stays text. Any: whatever a driver gives."""
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return text


def _read_bytes(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


def _tell_apart(columns: Sequence[str]) -> list[str]:
    """Number columns of the same name: `count`, `count_2`."""
    names: list[str] = []
    for column in columns:
        name, number = column, 1
        while name in names:
            number += 1
            name = f"{column}_{number}"
        names.append(name)

    return names
