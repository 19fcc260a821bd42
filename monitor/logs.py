"""How the log is written: one line per event on standard error, JSON or text, never a secret."""

from __future__ import annotations

import json
import logging
import os
import select
import sys
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TextIO

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from structlog.typing import Processor

    Mask = Callable[[str], str]

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

_WRITTEN_AT_ONCE: Final = select.PIPE_BUF
"""A pipe that takes anything takes so many bytes without waiting."""


def configure_logs(*, level: str, json: bool, mask: Mask) -> None:
    """Send every log line of this process, also those of libraries, to standard error.

    `mask` hides secrets by value in the finished line, whatever put them there. `level` is one of
    `LEVELS`.
    """
    lines = Lines(sys.stderr)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    render = _json_writer(mask) if json else _text_writer(mask)
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_names: lines,
        cache_logger_on_first_use=False,
    )
    foreign = _Foreign(lines)
    foreign.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(handlers=[foreign], level=max(LEVELS[level], logging.WARNING), force=True)


class Lines:
    """Writes lines to a stream and never raises or waits: what cannot be written is counted.

    A log that nobody reads must not stop the monitor; how much is missing is said once there is
    somebody again.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._lost = 0
        self._lock = Lock()

    def msg(self, line: str) -> None:
        """Write one line."""
        with self._lock:
            if self._lost:
                note = f"{self._lost} lines of the log could not be written\n"
                if not self._write(note):
                    self._lost += 1
                    return
                self._lost = 0
            if not self._write(f"{line}\n"):
                self._lost += 1

    debug = info = warning = error = critical = exception = fatal = log = msg

    def _write(self, text: str) -> bool:
        with suppress(OSError, ValueError):  # closed, or nobody is there any more
            descriptor = _descriptor(self._stream)
            if descriptor is not None:
                return _write_at_once(descriptor, text.encode("utf-8", "backslashreplace"))
            if self._stream is not None:
                self._stream.write(text)
                return True

        return False


class _Foreign(logging.Handler):
    """Takes what libraries log."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - a library's mistake in a log call stops nobody
            line = f"{record.name} logged what cannot be shown: {type(error).__name__}"
        self._lines.msg(line)


def _descriptor(stream: TextIO | None) -> int | None:
    """Give the file behind a stream; one that is in memory has none."""
    try:
        return stream.fileno() if stream is not None else None
    except (OSError, ValueError, AttributeError):
        return None


def _write_at_once(descriptor: int, data: bytes) -> bool:
    """Write as long as it need not wait; say whether all of it was written."""
    ready = select.poll()
    ready.register(descriptor, select.POLLOUT)
    while data:
        if not ready.poll(0):
            return False
        data = data[os.write(descriptor, data[:_WRITTEN_AT_ONCE]) :]

    return True


def _json_writer(mask: Mask) -> Processor:
    """Write one JSON object, valid whatever the values are."""

    def write(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        try:
            line = json.dumps(event, default=lambda value: mask(_shown(value)), allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            line = json.dumps({str(key): mask(_shown(value)) for key, value in event.items()})

        return mask(line)

    return write


def _text_writer(mask: Mask) -> Processor:
    """Write `time level event key=value`, on one line whatever a target sent."""

    def write(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        time, level = event.pop("timestamp", ""), event.pop("level", "")
        name = mask(str(event.pop("event", "")))
        trace = event.pop("exception", None)
        pairs = [f"{key}={_quoted(mask(_shown(value)))}" for key, value in event.items()]
        if trace:
            pairs.append("exception=" + _quoted(mask(str(trace))))
        said = name if name.isprintable() else repr(name)

        return mask(f"{time} {level:<7} {said} {' '.join(pairs)}".rstrip())

    return write


def _shown(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - a value that cannot be shown stops nobody
        return f"<{type(value).__name__}: {type(error).__name__}>"


def _quoted(text: str) -> str:
    return text if text.isprintable() and " " not in text and text else repr(text)
