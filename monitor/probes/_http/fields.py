"""The small fields of a request: methods, header names and values, text that may change."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, PlainValidator, WithJsonSchema

from monitor.fields import live_secret
from monitor.options import Secret

BREAKS_A_LINE: Final = re.compile(r"[\r\n\0]")
"""What no header value may hold."""

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SET_BY_US: Final = frozenset({"content-length", "transfer-encoding", "connection"})


def _read_header_value(value: object) -> Secret:
    live = value if isinstance(value, Secret) else live_secret(value)
    if live is not None:
        _check_header_value(live.reveal())
        return live
    if not isinstance(value, str):
        # pydantic turns a ValueError into a message with a place, and lets a TypeError through
        raise ValueError(f"expected a string, found {value!r}; quote it")
    _check_header_value(value)

    return Secret(value)


def _check_header_value(value: str) -> None:
    if BREAKS_A_LINE.search(value):
        raise ValueError("expected one line of text, found a line break")

    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("expected text, found a lone surrogate") from error


def _read_text(value: object) -> str:
    """Take text as it is: text from a file that is read again must stay what it is."""
    if not isinstance(value, str):
        raise ValueError(f"expected a string, found {value!r}; quote it")

    return value


def _read_header_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"expected a header name such as accept-language, found {name!r}")
    if name.lower() in _SET_BY_US:
        raise ValueError(f"{name} is set by the monitor itself; remove it")

    return name


def _read_method(value: object) -> object:
    if isinstance(value, str) and not _TOKEN.fullmatch(value):
        raise ValueError(f"expected a method such as GET or POST, found {value!r}")

    return value.upper() if isinstance(value, str) else value


Text = Annotated[str, PlainValidator(_read_text), WithJsonSchema({"type": "string"})]
HeaderName = Annotated[str, AfterValidator(_read_header_name)]
HeaderValue = Annotated[
    Secret, PlainValidator(_read_header_value), WithJsonSchema({"type": "string"})
]
Method = Annotated[str, BeforeValidator(_read_method)]
