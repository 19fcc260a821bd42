"""Whose certificates are believed: the system's authorities, or those of a file of one's own."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, ValidationInfo

if TYPE_CHECKING:
    from collections.abc import Callable


def _find_authorities(path: str, info: ValidationInfo) -> str:
    base = info.context.get("base") if isinstance(info.context, Mapping) else None
    place = Path(base, path) if base is not None else Path(path)
    if not place.is_file():
        raise ValueError(f"expected an existing file, found none at {place}")

    return str(place)


CaFile = Annotated[str, AfterValidator(_find_authorities)]
"""Certificates of authorities as PEM; relative to the configuration file that names it."""


def make_trust(ca_file: str | None) -> Callable[[], ssl.SSLContext]:
    """Give what gives the context of a connection: a file that was replaced is read again.

    What it gives raises OSError naming the file where that cannot be read.
    """

    def trust() -> ssl.SSLContext:
        if ca_file is None:
            return _make_context(None, 0)
        try:
            return _make_context(ca_file, Path(ca_file).stat().st_mtime_ns)
        except OSError as error:
            raise OSError(f"ca_file {ca_file} cannot be read: {error.strerror or error}") from error

    return trust


@lru_cache(maxsize=16)
def _make_context(ca_file: str | None, _stamp: int) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)
