"""From files to a compiled configuration, or to every mistake in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from monitor.config.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.config.compiled import Compiled


def load(
    paths: Sequence[Path],
    *,
    environ: Mapping[str, str],
    allow_unset: bool = False,
    cwd: Path | None = None,
) -> Compiled:
    """Read, check and compile configuration files; later files overlay earlier ones.

    `environ` fills variables and `MONITOR_INTERVAL`. With `allow_unset`, variables that are not
    set are no mistake. Raises ConfigError with every mistake, sorted by file and position.
    """
    from monitor.config.compile import compile_document
    from monitor.config.reader import read_document

    here = cwd or Path.cwd()
    document = read_document(paths, environ=environ, allow_unset=allow_unset, cwd=here)
    compiled, problems = compile_document(document, environ=environ, cwd=here)
    if compiled is None:
        raise ConfigError(problems)

    return compiled


def find_store(
    paths: Sequence[Path], *, environ: Mapping[str, str], cwd: Path | None = None
) -> Path | None:
    """Say where the store is, whatever else is unset or wrong; None where that is not known.

    To speak to a monitor that runs, nobody needs its secrets.
    """
    from monitor.config.compile import locate_store
    from monitor.config.reader import read_document

    here = cwd or Path.cwd()
    document = read_document(paths, environ=environ, allow_unset=True, cwd=here)

    return locate_store(document, environ=environ, cwd=here)


def compile_url(url: str, *, environ: Mapping[str, str]) -> Compiled:
    """Compile a configuration of this one endpoint, named by its host; raises ConfigError."""
    from monitor.config.compile import compile_document
    from monitor.config.document import Document, Position

    document = Document(
        data={"endpoints": {_name_of(url): url}},
        positions={(): Position("command line", 1, 1)},
        keys={},
    )
    compiled, problems = compile_document(document, environ=environ, cwd=Path.cwd())
    if compiled is None:
        raise ConfigError(problems)

    return compiled


def _name_of(url: str) -> str:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""

    return re.sub(r"[^a-z0-9.-]+", "-", host).strip("-.")[:100] or "url"


def schema() -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) of the configuration, for editors."""
    from monitor.config.schema import build_schema

    return build_schema()
