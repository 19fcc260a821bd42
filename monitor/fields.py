"""What options of plug-ins are made of: strict models, typed fields, and the shape of a kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta, tzinfo
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, TypeVar
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from monitor.options import (
    DURATION_PATTERN,
    Secret,
    format_duration,
    found,
    parse_duration,
    parse_ratio,
    parse_size,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

_SHELL_VARIABLE: Final = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")


class Options(BaseModel):
    """A strict, frozen model: an unknown key is refused, nothing is coerced."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True
    )

    @property
    def secrets(self) -> tuple[Secret, ...]:
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


class ShortForm(Options):
    """Options of which one field alone may be written, as a text, in place of the map."""

    short_form: ClassVar[str]
    """That field."""

    @model_validator(mode="before")
    @classmethod
    def _read_short_form(cls, value: object) -> object:
        return {cls.short_form: value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Offer the short form to editors as well."""
        return {"anyOf": [{"type": "string"}, handler(schema)]}


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


def _read_zone(value: object) -> tzinfo:
    wanted = "expected the name of a time zone such as UTC or Europe/Madrid"
    if isinstance(value, tzinfo):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{wanted}, found {found(value)}")
    if value == "UTC":  # known also where no time zones are installed
        return UTC
    try:
        return ZoneInfo(value)
    except (ValueError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"{wanted}, found {found(value)}") from error
    except KeyError as error:
        raise ValueError(f"{wanted}, and {found(value)} is unknown here") from error


Zone = Annotated[
    tzinfo,
    PlainValidator(_read_zone),
    WithJsonSchema({"type": "string", "examples": ["UTC", "Europe/Madrid"]}),
]


def suggest_braces(text: str) -> str:
    """Give `; did you mean "${NAME}"?` for the `$NAME` of a shell, else nothing."""
    return f'; did you mean "${{{text[1:]}}}"?' if _SHELL_VARIABLE.fullmatch(text) else ""


def live_secret(value: object) -> Secret | None:
    """Give the secret that a text with parts from files carries, which reads them again."""
    live = getattr(value, "secret", None)

    return live if isinstance(live, Secret) else None


def _read_secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError("expected a non-empty string")

    return live_secret(value) or Secret(value)


SecretText = Annotated[
    Secret,
    PlainValidator(_read_secret),
    WithJsonSchema({"type": "string", "minLength": 1}),
]


class BasicAuth(Options):
    """A user name and a password, sent with the first request already."""

    username: str
    password: SecretText

    @field_validator("username")
    @classmethod
    def _check_username(cls, username: str) -> str:
        if ":" in username:
            raise ValueError("a user name of basic authentication cannot contain a colon")

        return username


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of plug-in: the model of its options and the class that is made from them.

    `flat` puts the fields of the options beside the other keys of an endpoint (`url`, `request`)
    instead of under the kind's name.
    """

    options: type[Options]
    make: Any
    flat: bool = False


AnyKind = TypeVar("AnyKind", bound=Kind)


def later(path: str) -> Callable[[Any, Any], Any]:
    """Give what makes a plug-in of a class that is imported only then, so that reading stays quick.

    Any: the options and the context, which each kind has of its own.
    """
    module, _, name = path.rpartition(".")

    def make(options: Any, context: Any) -> Any:
        return getattr(import_module(module), name)(options, context)

    return make


class Kinds(Mapping[str, AnyKind]):
    """A table of kinds, by the modules that have them: one that nobody names is never loaded.

    `beside` are the further keys of those that are flat.
    """

    def __init__(
        self,
        modules: Mapping[str, str | AnyKind],
        *,
        beside: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ) -> None:
        self._modules = modules
        self._beside = beside
        self._loaded: dict[str, AnyKind] = {}

    @property
    def taken(self) -> tuple[str, ...]:
        """The keys that kinds take up in the map that they are part of."""
        return tuple(key for name in self for key in (name, *self._beside.get(name, ())))

    def __getitem__(self, name: str) -> AnyKind:
        if name not in self._loaded:
            found = self._modules[name]
            kind: AnyKind = import_module(found).KIND if isinstance(found, str) else found
            self._loaded[name] = kind

        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)
