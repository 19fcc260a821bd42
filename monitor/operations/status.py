"""What is asked of a monitor, and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.core.report import status_json

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from monitor.core.engine import Engine


def report_status(
    engine: Engine, now: datetime, *, rollbacks_off: Path | None = None
) -> dict[str, Any]:
    """Give what is failing now, open incidents, rollbacks and deploys, as JSON.

    `rollbacks_off` is the file that holds all rollbacks back, if there is one.
    """
    return {
        **status_json(engine, now),
        "rollbacks_off": str(rollbacks_off) if rollbacks_off else None,
    }
