"""What options of plug-ins are made of: strict models, typed fields, and the shape of a kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)

from monitor.core.expectations import HTTP_SOURCES, Source
from monitor.options import (
    DURATION_PATTERN,
    Secret,
    format_duration,
    parse_duration,
    parse_ratio,
    parse_size,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Place = tuple[str | int, ...]

_SHELL_VARIABLE: Final = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")


class Options(BaseModel):
    """A strict, frozen model: an unknown key is refused, nothing is coerced."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True
    )

    @property
    def secrets(self) -> tuple[Secret | str, ...]:
        """The values that must never be shown: each Secret in it, unless it knows better."""
        return tuple(_secrets_in(self))


def _secrets_in(value: object) -> Iterator[Secret]:
    match value:
        case Secret():
            yield value
        case BaseModel():
            for name in type(value).model_fields:
                yield from _secrets_in(getattr(value, name))
        case dict():
            for inner in value.values():
                yield from _secrets_in(inner)
        case list() | tuple() | set() | frozenset():
            for inner in value:
                yield from _secrets_in(inner)


def write_duration(value: timedelta) -> str:
    """Write a duration as the configuration has it, for the defaults in the JSON Schema."""
    return format_duration(value).replace(" ", "")


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(write_duration, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": DURATION_PATTERN,
            "examples": ["30s", "1h30m"],
        }
    ),
]
Ratio = Annotated[
    float,
    BeforeValidator(parse_ratio),
    WithJsonSchema({"type": ["string", "number"], "examples": ["5%", 0.05]}),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["512KiB"]}),
]


def suggest_braces(text: str) -> str:
    """Give `; did you mean "${NAME}"?` for the `$NAME` of a shell, else nothing."""
    return f'; did you mean "${{{text[1:]}}}"?' if _SHELL_VARIABLE.fullmatch(text) else ""


def _read_secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError("expected a non-empty string")

    # A text with parts from files carries the secret that reads them again.
    live = getattr(value, "secret", None)

    return live if isinstance(live, Secret) else Secret(value)


SecretText = Annotated[
    Secret,
    PlainValidator(_read_secret),
    WithJsonSchema({"type": "string", "minLength": 1}),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How often a kind of probe looks at most by default, and how much one look says of health.

    None is as everywhere.
    """

    every: timedelta | None = None
    failure_threshold: int | None = None
    success_threshold: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of plug-in: the model of its options and the class that is made from them.

    `flat` puts the fields of the options beside the other keys of an endpoint (`url`, `request`)
    instead of under the kind's name. The rest is of probes. `sources` are what an answer tells:
    what expectations can look at. `healthy` are the expectations that hold where nobody wrote one
    on the same source; options that have a `healthy` of their own decide it. `carries` says that
    what is asked may merely carry a figure about something else: with a `value` its own health is
    judged only where that is written. `judges` gives the
    lists of expectations in the options that the kind judges itself, each with its place: its probe
    finds them compiled in its context. `prober` is what blackbox_exporter calls it, `series` its
    families beside those that each kind has, with what they mean. `rhythm` is how often it looks,
    and how often it is wrong before that is told.
    """

    options: type[Options]
    make: Any
    flat: bool = False
    sources: frozenset[Source] = HTTP_SOURCES
    healthy: tuple[Mapping[str, object], ...] = ()
    carries: bool = False
    # Any: its own options
    judges: Callable[[Any], Iterable[tuple[Place, Sequence[object]]]] | None = None
    prober: str = ""
    rhythm: Rhythm = Rhythm()
    series: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class Kinds(Mapping[str, Kind]):
    """A table of kinds, by the modules that have them: one that nobody names is never loaded.

    `beside` are the further keys of those that are flat.
    """

    def __init__(
        self,
        modules: Mapping[str, str | Kind],
        *,
        beside: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ) -> None:
        self._modules = modules
        self._beside = beside
        self._loaded: dict[str, Kind] = {}

    @property
    def taken(self) -> tuple[str, ...]:
        """The keys that kinds take up in the map that they are part of."""
        return tuple(key for name in self for key in (name, *self._beside.get(name, ())))

    def __getitem__(self, name: str) -> Kind:
        if name not in self._loaded:
            found = self._modules[name]
            kind: Kind = found if isinstance(found, Kind) else import_module(found).KIND
            self._loaded[name] = kind

        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)
