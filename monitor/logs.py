"""How the log is written: one line per event on standard error, JSON or text, never a secret."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from structlog.typing import Processor

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure_logs(*, level: str, json: bool, mask: Callable[[str], str]) -> None:
    """Send every log line of this process, also those of libraries, to standard error.

    `mask` hides secrets by value in the finished line, whatever put them there. `level` is one of
    `LEVELS`.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    render: Processor = structlog.processors.JSONRenderer() if json else _write_text
    structlog.configure(
        processors=[*shared, render, _masking(mask)],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    foreign = logging.StreamHandler(sys.stderr)
    foreign.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                render,
                _masking(mask),
            ],
        )
    )
    logging.basicConfig(handlers=[foreign], level=max(LEVELS[level], logging.WARNING), force=True)


def _masking(mask: Callable[[str], str]) -> Processor:
    def hide(_logger: Any, _method: str, line: Any) -> str:
        return mask(str(line))

    return hide


def _write_text(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """Write `time level event key=value`, on one line whatever a target sent."""
    time, level = event.pop("timestamp", ""), event.pop("level", "")
    name = event.pop("event", "")
    trace = event.pop("exception", None)
    pairs = " ".join(f"{key}={_plain(value)}" for key, value in event.items())
    line = f"{time} {level:<7} {name} {pairs}".rstrip()
    if trace:
        line += " exception=" + _plain(str(trace))

    return line


def _plain(value: Any) -> str:
    text = str(value)

    return text if text.isprintable() and " " not in text and text else repr(text)
