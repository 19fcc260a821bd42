"""Headers that people accept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.config.suggest import suggest
from monitor.core.headers.drift import compare
from monitor.core.pins import drift_check, known_pin
from monitor.operations.desk import OperationError

if TYPE_CHECKING:
    from monitor.operations.desk import Desk


async def accept_headers(name: str, desk: Desk) -> dict[str, Any]:
    """Take the headers that an endpoint answered with last for those that it is held against.

    Gives the accepted lines as JSON once they are durable. Raises OperationError where nothing is
    pinned, StoreError if it could not be written.
    """
    engine = desk.engine
    endpoint = engine.endpoints.get(name)
    if endpoint is None:
        raise OperationError(
            f"endpoint {name!r} is not in the configuration{suggest(name, engine.endpoints)}"
        )
    check = drift_check(endpoint)
    if check is None:
        raise OperationError(f"{name}: its headers are not pinned; write pin: true under headers")
    before = known_pin(check, engine.situation.pins)
    if before is None:
        raise OperationError(
            f"{name}: no headers are accepted yet, its policies have to pass "
            f"{check.success_threshold} times in a row before"
        )

    await desk.settle(engine.accept_headers(check, desk.clock()))
    after = engine.situation.pins[check.id]

    return {
        "endpoint": name,
        "headers": [list(line) for line in after.lines],
        "changed": [drift.name for drift in compare(before.lines, after.lines)],
    }
