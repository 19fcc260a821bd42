"""Regular expressions in linear time, on any text."""

from __future__ import annotations

from typing import Any, Final

import re2


def compile_pattern(pattern: str, *, captures: bool = False) -> Any:
    """Compile an RE2 pattern; what its groups match is lost, unless it `captures`.

    Raises re2.error whose first argument says what is wrong, in bytes.
    """
    try:
        return re2.compile(pattern, _CAPTURING if captures else _OPTIONS)
    except UnicodeEncodeError as error:
        raise re2.error(b"it is not valid Unicode") from error


def search(compiled: Any, text: str) -> bool:
    """Say whether the pattern matches anywhere in the text."""
    return compiled.search(_encode(text)) is not None


def find(compiled: Any, text: str) -> int:
    """Give the index of the character where the first match starts, or -1."""
    encoded = _encode(text)
    found = compiled.search(encoded)

    return -1 if found is None else len(encoded[: found.start()].decode(errors="replace"))


def _encode(text: str) -> bytes:
    """Encode as bytes, since RE2 matches bytes; half surrogates have no encoding of their own."""
    return text.encode(errors="replace")


def _make_options(*, captures: bool) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = not captures

    return options


_OPTIONS: Final = _make_options(captures=False)
_CAPTURING: Final = _make_options(captures=True)
