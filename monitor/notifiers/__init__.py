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
        "discord": "monitor.notifiers.discord",
        "teams": "monitor.notifiers.teams",
        "telegram": "monitor.notifiers.telegram",
        "webhook": "monitor.notifiers.webhook",
        "command": "monitor.notifiers.command",
        "apprise": "monitor.notifiers.apprise",
        "log": "monitor.notifiers.log",
    }
)
