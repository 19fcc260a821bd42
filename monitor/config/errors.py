"""The error that carries every mistake of a configuration at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.config.document import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ConfigError", "Problem"]


class ConfigError(Exception):
    """A configuration that cannot be used; it carries every mistake that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
