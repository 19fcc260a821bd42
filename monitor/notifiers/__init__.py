"""The table of notifier kinds: whom notices can be sent to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.notifiers import log, slack, webhook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.fields import Kind

KINDS: Final[Mapping[str, Kind]] = {
    "slack": slack.KIND,
    "webhook": webhook.KIND,
    "log": log.KIND,
}
