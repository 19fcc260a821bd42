"""The table of hook kinds: what a rollback step can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.hooks import command, webhook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.fields import Kind

KINDS: Final[Mapping[str, Kind]] = {
    "command": command.KIND,
    "webhook": webhook.KIND,
}
