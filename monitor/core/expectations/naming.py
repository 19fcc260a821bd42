"""The names behind a source: which header, path, selector or schema is meant, read at load."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.json_body import PathError, compile_path
from monitor.core.expectations.operands import wrong
from monitor.core.expectations.record import ExpectationError
from monitor.core.expectations.shown import show

if TYPE_CHECKING:
    from monitor.core.expectations.facet import Path, ReadFile

_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def read_header_name(raw: object, path: Path, example: str, _: ReadFile) -> tuple[str, object]:
    """Read the name of a header, in any case."""
    if not isinstance(raw, str) or not _HEADER_NAME.fullmatch(raw):
        raise wrong(path, f"the name of a header, as in {example}", raw)

    return raw.lower(), raw.lower()


def read_path(raw: object, path: Path, example: str, _: ReadFile) -> tuple[str, object]:
    """Read an RFC 9535 JSONPath."""
    if not isinstance(raw, str):
        raise wrong(path, f"a JSONPath, as in {example}", raw)

    try:
        return str(raw), compile_path(str(raw))
    except PathError as error:
        raise ExpectationError(path, f"{show(raw)} is no JSONPath: {error}") from error


def read_selector(raw: object, path: Path, example: str, _: ReadFile) -> tuple[str, object]:
    """Read a CSS selector."""
    from monitor.core.expectations.html_body import SelectorError, compile_selector

    if not isinstance(raw, str):
        raise wrong(path, f"a CSS selector, as in {example}", raw)

    try:
        return str(raw), compile_selector(str(raw))
    except SelectorError as error:
        raise ExpectationError(path, f"{show(raw)} is no CSS selector: {error}") from error


def read_schema(raw: object, path: Path, example: str, read: ReadFile) -> tuple[str, object]:
    """Read the JSON Schema in a file."""
    from monitor.core.expectations.json_schema import SchemaError, compile_schema

    if not isinstance(raw, str) or not raw:
        raise wrong(path, f"the file of a JSON Schema, as in {example}", raw)

    try:
        return str(raw), compile_schema(read(raw))
    except OSError as error:
        raise ExpectationError(path, f"{show(raw)} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ExpectationError(path, f"{show(raw)} is not UTF-8") from error
    except SchemaError as error:
        raise ExpectationError(path, f"{show(raw)} {error}") from error
