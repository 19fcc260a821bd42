"""The table of hook kinds: what a rollback step can be."""

from __future__ import annotations

from typing import Final

from monitor.fields import Kind, Kinds

KINDS: Final[Kinds[Kind]] = Kinds(
    {
        "command": "monitor.hooks.command",
        "webhook": "monitor.hooks.webhook",
    }
)
