"""Reads configuration written by a test, from real files in a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from monitor.config.reader import read_document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.config.document import Document


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files by their names, with the folders they need."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def read(
    folder: Path,
    content: str | bytes,
    *,
    environ: Mapping[str, str] | None = None,
    allow_unset: bool = False,
) -> Document:
    """Read `content` as the only configuration file, `m.yml`."""
    write(folder, {"m.yml": content})

    return read_document(
        [Path("m.yml")], environ=environ or {}, allow_unset=allow_unset, cwd=folder
    )


def read_all(folder: Path, *names: str, environ: Mapping[str, str] | None = None) -> Document:
    """Read files that were written before, each laid over the ones before it."""
    return read_document([Path(name) for name in names], environ=environ or {}, cwd=folder)


def complaints(document: Document) -> list[str]:
    """Give the problems as a user sees them."""
    return [str(problem) for problem in document.problems]
