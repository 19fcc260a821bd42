"""Who is told of what: one delivery for each notifier and each turn that is worth telling."""

from __future__ import annotations

from monitor.core.alerting.attention import attend
from monitor.core.alerting.explaining import explain
from monitor.core.alerting.missed import tell_missed
from monitor.core.alerting.planning import plan, tell_rollback

__all__ = ["attend", "explain", "plan", "tell_missed", "tell_rollback"]
