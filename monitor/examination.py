"""The seam to whatever can be tried without using it: what `doctor` asks of notifiers and hooks."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


class Unfit(Exception):
    """What is needed cannot be used as it is; the text says why, without secrets."""


@runtime_checkable
class Examinable(Protocol):
    """A plug-in that can find out whether it would work, while nobody is told and nothing done."""

    async def examine(self) -> str:
        """Say in a few words what was found there; raises Unfit where it would not work."""
        ...
