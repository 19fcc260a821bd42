"""How the log is written: one line per event on standard error, JSON or text, never a secret."""

from __future__ import annotations

import json
import logging
import os
import select
import sys
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

    Mask = Callable[[str], str]
    Render = Callable[[dict[str, Any]], str]

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
LOGGER: Final = "monitor"
"""The name of our own part of the log, beside those of libraries."""

_WRITTEN_AT_ONCE: Final = select.PIPE_BUF
"""A pipe that takes anything takes so many bytes without waiting."""


class Log:
    """What a module says: the name of an event, and facts by their names.

    `exc_info` is the exception that is told of, or True for the one that is being handled.
    """

    def __init__(self) -> None:
        self._logger = logging.getLogger(LOGGER)

    def debug(self, event: str, **facts: Any) -> None:
        """Say what only helps to find a mistake."""
        self._say(logging.DEBUG, event, facts)

    def info(self, event: str, **facts: Any) -> None:
        """Say what happened in good order."""
        self._say(logging.INFO, event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        """Say what people should look at some day."""
        self._say(logging.WARNING, event, facts)

    def error(self, event: str, **facts: Any) -> None:
        """Say what is broken."""
        self._say(logging.ERROR, event, facts)

    def exception(self, event: str, **facts: Any) -> None:
        """Say what is broken, with the exception that is being handled."""
        self._say(logging.ERROR, event, {"exc_info": True, **facts})

    def _say(self, level: int, event: str, facts: dict[str, Any]) -> None:
        exc_info = facts.pop("exc_info", None)
        self._logger.log(level, event, exc_info=exc_info, extra={"facts": facts})


def configure_logs(*, level: str, json: bool, mask: Mask) -> None:
    """Send every log line of this process, also those of libraries, to standard error.

    `mask` hides secrets by value in the finished line, whatever put them there. `level` is one of
    `LEVELS`.
    """
    render = _json_writer(mask) if json else _text_writer(mask)
    handler = _Handler(Lines(sys.stderr), render)
    logging.basicConfig(handlers=[handler], level=max(LEVELS[level], logging.WARNING), force=True)
    logging.getLogger(LOGGER).setLevel(LEVELS[level])


class Lines:
    """Writes lines to a stream and never raises or waits: what cannot be written is counted.

    A log that nobody reads must not stop the monitor; how much is missing is said once there is
    somebody again.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._lost = 0
        self._is_torn = False  # a line broke off in its middle, and the next begins with its end
        self._lock = Lock()

    def write(self, line: str) -> None:
        """Write one line."""
        with self._lock:
            if self._lost:
                note = f"{self._lost} lines of the log could not be written\n"
                if not self._try(note):
                    self._lost += 1
                    return
                self._lost = 0
            if not self._try(f"{line}\n"):
                self._lost += 1

    def _try(self, text: str) -> bool:
        with suppress(OSError, ValueError):  # closed, or nobody is there any more
            descriptor = _descriptor(self._stream)
            if descriptor is not None:
                line = text.encode("utf-8", "backslashreplace")
                whole = b"\n" + line if self._is_torn else line
                left = _write_at_once(descriptor, whole)
                if len(left) < len(whole):
                    self._is_torn = 0 < len(left) < len(line)
                return not left
            if self._stream is not None:
                self._stream.write(text)
                return True

        return False


class _Handler(logging.Handler):
    """Takes what we and libraries log."""

    def __init__(self, lines: Lines, render: Render) -> None:
        super().__init__()
        self._lines = lines
        self._render = render

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self._render(_event(record))
        except Exception as error:  # noqa: BLE001 - a library's mistake in a log call stops nobody
            line = f"{record.name} logged what cannot be shown: {type(error).__name__}"
        self._lines.write(line)


def _event(record: logging.LogRecord) -> dict[str, Any]:
    moment = datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None)
    event = {
        **getattr(record, "facts", {}),
        "event": record.getMessage(),
        "level": record.levelname.lower(),
        "timestamp": f"{moment.isoformat()}Z",
    }
    if record.exc_info:
        event["exception"] = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")

    return event


def _descriptor(stream: TextIO | None) -> int | None:
    """Give the file behind a stream; one that is in memory has none."""
    try:
        return stream.fileno() if stream is not None else None
    except (OSError, ValueError, AttributeError):
        return None


def _write_at_once(descriptor: int, data: bytes) -> bytes:
    """Write as long as it need not wait and nothing fails; give what was not written."""
    ready = select.poll()
    ready.register(descriptor, select.POLLOUT)
    with suppress(OSError):  # nobody is there any more, or a disk is full
        while data and ready.poll(0):
            data = data[os.write(descriptor, data[:_WRITTEN_AT_ONCE]) :]

    return data


def _json_writer(mask: Mask) -> Render:
    """Write one JSON object, valid whatever the values are."""

    def write(event: dict[str, Any]) -> str:
        try:
            line = json.dumps(event, default=lambda value: mask(_shown(value)), allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            line = json.dumps({str(key): mask(_shown(value)) for key, value in event.items()})

        return mask(line)

    return write


def _text_writer(mask: Mask) -> Render:
    """Write `time level event key=value`, on one line whatever a target sent."""

    def write(event: dict[str, Any]) -> str:
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
