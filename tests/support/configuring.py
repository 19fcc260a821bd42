"""Configurations for tests: written to a real file, loaded as the command loads them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any, Final

from monitor.config import ConfigError, load

if TYPE_CHECKING:
    from monitor.config import Compiled

API: Final = "endpoints: {api: https://api.shop.example/}\n"


def configure(folder: Path, text: str, *, allow_unset: bool = False, **environ: str) -> Compiled:
    """Load a configuration that stands in `folder/monitor.yml`."""
    (folder / "monitor.yml").write_text(dedent(text))

    return load([Path("monitor.yml")], environ=environ, allow_unset=allow_unset, cwd=folder)


def mistakes(folder: Path, text: str, *, allow_unset: bool = False, **environ: str) -> list[str]:
    """Give each mistake of a configuration, without the name of the file; none if it loads."""
    try:
        configure(folder, text, allow_unset=allow_unset, **environ)
    except ConfigError as error:
        return [str(problem).removeprefix("monitor.yml:") for problem in error.problems]

    return []


def ways(value: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Give the way to each value of a document."""
    match value:
        case dict():
            inner = [way for key, item in value.items() for way in ways(item, (*at, key))]
        case list():
            inner = [way for index, item in enumerate(value) for way in ways(item, (*at, index))]
        case _:
            inner = []

    return [at, *inner] if at else inner
