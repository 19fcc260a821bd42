"""Notices that a receiver refused, and that people let it be told once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.config.suggest import suggest
from monitor.core import outbox
from monitor.core.incidents import IncidentStep
from monitor.core.model.changes import Changes
from monitor.operations.desk import OperationError

if TYPE_CHECKING:
    from monitor.operations.desk import Desk


async def requeue(notifier: str, desk: Desk) -> dict[str, Any]:
    """Queue the dead letters of a notifier again, in their order; gives how many, as JSON.

    `left` are those that came before something that it was told since. Raises OperationError for
    a notifier that is not configured, StoreError if it could not be written.
    """
    engine = desk.engine
    if notifier not in engine.directory.notifiers:
        raise OperationError(
            f"notifier {notifier!r:.200} is not in the configuration"
            f"{suggest(notifier, engine.directory.notifiers)}"
        )

    found = outbox.requeue_dead(notifier, engine.situation)
    if found.rows:
        step = IncidentStep(changes=Changes(deliveries=found.rows))
        await desk.settle(engine.act(step, desk.clock()))

    return {"notifier": notifier, "requeued": len(found.rows), "left": len(found.left)}
