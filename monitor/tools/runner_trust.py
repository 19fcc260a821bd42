"""What both runners need: configuration and programs that nobody but root can change."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.runner.service import Denied
from monitor.runner.trust import find_distrust

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.config import Compiled
    from monitor.config.document import Document


def load_trusted(paths: Sequence[Path], environ: Mapping[str, str]) -> tuple[Compiled, Document]:
    """Load the configuration as it is now, if it is root's alone; raises Denied.

    What is unset for others is none of our business.
    """
    from monitor.config.compile import compile_document
    from monitor.config.reader import read_document

    _trust(paths)
    cwd = Path.cwd()
    document = read_document(paths, environ=environ, allow_unset=True, cwd=cwd)
    compiled, problems = compile_document(document, environ=environ, cwd=cwd)
    if compiled is None:
        raise Denied(f"the configuration is wrong: {problems[0]}")
    _trust(compiled.files)

    return compiled, document


def _trust(paths: Sequence[Path]) -> None:
    owners = {0, os.geteuid()}
    for path in paths:
        if problem := find_distrust(path, owners):
            raise Denied(f"the configuration is not root's alone: {problem}")


def trust_program(name: str) -> None:
    """See that nobody else can change what is run; raises Denied."""
    program = shutil.which(name)
    if program is not None and (problem := find_distrust(Path(program), {0, os.geteuid()})):
        raise Denied(f"the program is not root's alone: {problem}")


def find_group(name: str) -> int | None:
    """Give the id of a group; None where there is no such group."""
    import grp

    with suppress(KeyError):
        return grp.getgrnam(name).gr_gid

    return None
