"""From files to a compiled configuration, or to every mistake in them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from monitor import garbage
from monitor.config.errors import ConfigError
from monitor.config.suggest import suggest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from monitor.config.compiled import Compiled
    from monitor.config.document import Document

_MOST_NAMED: Final = 10
_UNUSED_BY_PROBES: Final = ("notifiers", "routes", "services", "maintenance", "web")


class NoSuchEndpoint(Exception):
    """The configuration has no endpoint of that name; the message says which may be meant."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        meant = suggest(name, known) or f"; there are {_some(known)}"
        super().__init__(f"{name}: no such endpoint{meant}")


@garbage.left_alone()
def load(
    paths: Sequence[Path],
    *,
    environ: Mapping[str, str],
    allow_unset: bool = False,
    without: Collection[str] = (),
    cwd: Path | None = None,
) -> Compiled:
    """Read, check and compile configuration files; later files overlay earlier ones.

    `environ` fills variables and `MONITOR_INTERVAL`. With `allow_unset`, variables that are not
    set are no mistake. `without` names sections that are not used: nothing in them counts. Raises
    ConfigError with every mistake, sorted by file and position.
    """
    from monitor.config.reader import read_document

    here = cwd or Path.cwd()
    document = read_document(paths, environ=environ, allow_unset=allow_unset, cwd=here)
    for section in without:
        document = _leave_out(document, section)

    return _compile(document, environ, here)


def load_endpoint(
    name: str, paths: Sequence[Path], *, environ: Mapping[str, str], cwd: Path | None = None
) -> Compiled:
    """Load one endpoint and what it needs: mistakes elsewhere, and secrets of others, do not count.

    Raises NoSuchEndpoint, or ConfigError.
    """
    from monitor.config.reader import read_document

    here = cwd or Path.cwd()
    document = read_document(paths, environ=environ, allow_unset=False, cwd=here)
    for section in _UNUSED_BY_PROBES:
        document = _leave_out(document, section)
    endpoints = document.data.get("endpoints")
    if document.complete and isinstance(endpoints, dict):
        if name not in endpoints:
            raise NoSuchEndpoint(name, tuple(endpoints))
        document = _leave_others_out(document, name, endpoints)

    return _compile(document, environ, here)


def _compile(document: Document, environ: Mapping[str, str], cwd: Path) -> Compiled:
    from monitor.config.compile import compile_document

    compiled, problems = compile_document(document, environ=environ, cwd=cwd)
    if compiled is None:
        raise ConfigError(problems)

    return compiled


def _leave_out(document: Document, section: str) -> Document:
    """Take a section out of a document, and what was found wrong in it."""
    return replace(
        document,
        data={key: value for key, value in document.data.items() if key != section},
        problems=tuple(one for one in document.problems if not _within(one.path, section)),
    )


def _leave_others_out(document: Document, name: str, endpoints: dict[str, object]) -> Document:
    """Take all endpoints but one out of a document."""
    problems = tuple(
        problem
        for problem in document.problems
        if not _within(problem.path, "endpoints") or _within(problem.path, f"endpoints.{name}")
    )

    return replace(
        document,
        data={**document.data, "endpoints": {name: endpoints[name]}},
        problems=problems,
    )


def _some(names: tuple[str, ...]) -> str:
    """Name the first few of what there is."""
    more = len(names) - _MOST_NAMED

    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _within(path: str, section: str) -> bool:
    """Whether a path such as `notifiers.oncall.slack` leads into a section."""
    return path == section or path.startswith((f"{section}.", f"{section}["))


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
    from monitor.config.document import Document, Position

    document = Document(
        data={"endpoints": {_name_of(url): url}},
        positions={(): Position("command line", 1, 1)},
        keys={},
    )
    return _compile(document, environ, Path.cwd())


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
