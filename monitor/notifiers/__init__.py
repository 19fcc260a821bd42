"""The table of notifier kinds: whom notices can be sent to."""

from __future__ import annotations

from typing import Final

from monitor.fields import Kind, Kinds

KINDS: Final[Kinds[Kind]] = Kinds(
    {
        "slack": "monitor.notifiers.slack",
        "pagerduty": "monitor.notifiers.pagerduty",
        "alertmanager": "monitor.notifiers.alertmanager",
        "email": "monitor.notifiers.email",
        "webhook": "monitor.notifiers.webhook",
        "log": "monitor.notifiers.log",
    }
)
