"""Reads a draft as the monitor would, so that what it refuses is told by who drafted it."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from monitor.config import ConfigError, load
from monitor.tools.importing.draft import write_draft

if TYPE_CHECKING:
    from monitor.config import Problem
    from monitor.tools.importing.draft import Draft


def review(draft: Draft) -> None:
    """Add to what is left over in a draft what check-config would refuse of it."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "monitor.yml"
        file.write_text(write_draft(draft, head=""), encoding="utf-8", errors="replace")
        try:
            load([file], environ={}, allow_unset=True)
        except ConfigError as error:
            for problem in error.problems:
                _tell(problem, draft, folder)


def _tell(problem: Problem, draft: Draft, folder: str) -> None:
    part = ".".join(re.split(r"[.\[]", problem.path)[:2])
    place = problem.path or "its top"
    said = problem.message.replace(f"{folder}/", "")
    draft.leave(draft.origins.get(part, "the draft"), f"is refused as drafted: {place}: {said}")
