"""How records become JSON and come back: lossless, compact, with a version."""

from __future__ import annotations

import json
import sys
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from monitor.core.model import (
    changes,
    check_state,
    deploy,
    endpoint,
    heartbeat,
    incident,
    notice,
    observation,
    pin,
    rollback,
    silence,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VERSION: Final = 1
_VERSION_KEY: Final = "_"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MODULES: Final = (
    changes,
    check_state,
    deploy,
    endpoint,
    heartbeat,
    incident,
    notice,
    observation,
    pin,
    rollback,
    silence,
    verdict,
)

Record = TypeVar("Record")


class CodecError(ValueError):
    """A stored record cannot be read, or a value cannot be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Codec:
    """The two directions of one type; the plain side is what `json` knows."""

    to_plain: Callable[[Any], Any]
    to_value: Callable[[Any], Any]


def encode(record: Any) -> str:
    """Write one record as JSON; raises CodecError for a datetime without a time zone."""
    kind: Any = type(record)
    codec: _Codec = _codec_of(kind)
    plain = codec.to_plain(record)

    return json.dumps({_VERSION_KEY: VERSION, **plain}, separators=(",", ":"), allow_nan=False)


def decode(kind: type[Record], text: str) -> Record:
    """Read one record; a field that is absent has its default, one that is not known is ignored.

    Raises CodecError where the text is no such record, or was written by a later version.
    """
    try:
        plain = json.loads(text)
        version = plain.pop(_VERSION_KEY, None)
        if not isinstance(version, int) or not 1 <= version <= VERSION:
            raise CodecError(f"expected a record of version 1 to {VERSION}, found {version!r}")

        codec: _Codec = _codec_of(cast("Any", kind))
        value: Record = codec.to_value(plain)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CodecError(f"cannot read a stored {kind.__name__}: {error}") from error

    return value


def to_microseconds(moment: datetime) -> int:
    """Count the microseconds since 1970, UTC; raises CodecError without a time zone."""
    if moment.tzinfo is None:
        raise CodecError(f"expected a time with a time zone, found {moment.isoformat()}")

    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """Give the moment so many microseconds after 1970, UTC."""
    return _EPOCH + timedelta(microseconds=count)


def _write_moment(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise CodecError(f"expected a time with a time zone, found {moment.isoformat()}")

    return moment.astimezone(UTC).isoformat()


def _same(value: Any) -> Any:
    return value


_PLAIN: Final = _Codec(to_plain=_same, to_value=_same)
_MOMENT: Final = _Codec(to_plain=_write_moment, to_value=datetime.fromisoformat)
_SPAN: Final = _Codec(
    to_plain=lambda span: span // _MICROSECOND,
    to_value=lambda count: timedelta(microseconds=count),
)


@cache
def _codec_of(kind: Any) -> _Codec:
    """Build the codec of a type from its annotations, once."""
    if kind in (str, int, float, bool):
        return _PLAIN
    if kind is datetime:
        return _MOMENT
    if kind is timedelta:
        return _SPAN
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _Codec(to_plain=str, to_value=kind)
    if is_dataclass(kind):
        return _record_codec(kind)

    match get_origin(kind), get_args(kind):
        case (origin, arguments) if origin in (Union, UnionType):
            return _optional_codec(kind, arguments)
        case (origin, (item, last)) if origin is tuple and last is Ellipsis:
            return _list_codec(_codec_of(item))
        case (origin, arguments) if origin is tuple:
            return _fixed_codec([_codec_of(item) for item in arguments])

    raise CodecError(f"no way is known to store a {kind}")


def _optional_codec(kind: Any, arguments: tuple[Any, ...]) -> _Codec:
    inner = [argument for argument in arguments if argument is not NoneType]
    if len(inner) != 1 or len(inner) == len(arguments):
        raise CodecError(f"no way is known to store a {kind}")

    codec = _codec_of(inner[0])
    to_plain, to_value = codec.to_plain, codec.to_value

    return _Codec(
        to_plain=lambda value: None if value is None else to_plain(value),
        to_value=lambda plain: None if plain is None else to_value(plain),
    )


def _list_codec(item: _Codec) -> _Codec:
    return _Codec(
        to_plain=lambda values: [item.to_plain(value) for value in values],
        to_value=lambda plain: tuple(item.to_value(value) for value in plain),
    )


def _fixed_codec(items: list[_Codec]) -> _Codec:
    return _Codec(
        to_plain=lambda values: [
            item.to_plain(value) for item, value in zip(items, values, strict=True)
        ],
        to_value=lambda plain: tuple(
            item.to_value(value) for item, value in zip(items, plain, strict=True)
        ),
    )


def _record_codec(kind: Any) -> _Codec:
    hints = get_type_hints(kind, vars(sys.modules[kind.__module__]), dict(_names()))
    parts = [(field.name, _codec_of(hints[field.name])) for field in fields(kind)]
    writers = [(name, codec.to_plain) for name, codec in parts]
    readers = {name: codec.to_value for name, codec in parts}
    absent_when_none = frozenset(field.name for field in fields(kind) if field.default is None)
    required = [
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING
    ]

    def to_plain(record: Any) -> dict[str, Any]:
        plain = {}
        for name, write in writers:
            value = getattr(record, name)
            if value is not None or name not in absent_when_none:
                plain[name] = write(value)

        return plain

    def to_value(plain: dict[str, Any]) -> Any:
        for name in required:
            if name not in plain:
                raise CodecError(f"{name} is missing")

        return kind(
            **{name: readers[name](value) for name, value in plain.items() if name in readers}
        )

    return _Codec(to_plain=to_plain, to_value=to_value)


@cache
def _names() -> Mapping[str, Any]:
    """Give what annotations of records may mention: their modules import it for checkers only."""
    names: dict[str, Any] = {"datetime": datetime, "timedelta": timedelta}
    for module in _MODULES:
        names |= {
            name: value
            for name, value in vars(module).items()
            if isinstance(value, type) and value.__module__ == module.__name__
        }

    return names
