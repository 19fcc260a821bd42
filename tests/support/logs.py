"""What was logged while a block ran."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from monitor.logs import LOGGER

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        told = {"exc_info": record.exc_info} if record.exc_info else {}
        self.events.append(
            {
                "event": record.getMessage(),
                "log_level": record.levelname.lower(),
                **getattr(record, "facts", {}),
                **told,
            }
        )


@contextmanager
def capture_logs() -> Iterator[list[dict[str, Any]]]:
    """Keep what the monitor logs, at any level: each event with its level and its facts."""
    logger, kept = logging.getLogger(LOGGER), _Kept()
    level = logger.level
    logger.addHandler(kept)
    logger.setLevel(logging.DEBUG)
    try:
        yield kept.events
    finally:
        logger.setLevel(level)
        logger.removeHandler(kept)
