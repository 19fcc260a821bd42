"""The log: one line per event whatever is in it, no secret, and it never stops the monitor."""

from __future__ import annotations

import json
import logging
import os
import warnings
from contextlib import contextmanager, redirect_stderr
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TextIO

import pytest

from monitor.logs import LOGGER, Lines, Log, configure_logs
from monitor.options import Redactor, Secret
from tests.support.disk import small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger(LOGGER)
    handlers, levels = list(root.handlers), (root.level, own.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])


class Written:
    """A log that was begun on a real file, and what is in it."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self._path = path
        self._stream = stream

    def begin(
        self, *, json: bool = False, level: str = "info", secrets: tuple[str, ...] = ()
    ) -> Log:
        mask = Redactor(Secret(secret) for secret in secrets).mask
        with redirect_stderr(self._stream):
            configure_logs(level=level, json=json, mask=mask)

        return Log()

    @property
    def raw(self) -> bytes:
        return self._path.read_bytes()

    @property
    def lines(self) -> list[str]:
        return self.raw.decode().splitlines()

    @property
    def objects(self) -> list[Any]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    path = tmp_path / "stderr"
    with path.open("w") as stream:
        yield Written(path, stream)


class Odd:
    """A value that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


HOSTILE = {
    "a new line": "one\ntwo",
    "a return": "one\r\ntwo",
    "a separator of Unicode": "one\u2028two\u0085three",
    "colours": "\x1b[31mred\x1b[0m\x07",
    "half a character": "\ud83d and \udcff",
    "a NUL": "a\x00b",
    "nothing": "",
    "quotes": 'it\'s "so" \\ so',
}


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "JSON"])
@pytest.mark.parametrize("said", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_event_is_one_printable_line_whatever_a_target_sent(
    written: Written, as_json: bool, said: str
) -> None:
    log = written.begin(json=as_json)

    log.info("answered", said=said)
    log.info(said)
    logging.getLogger("aiohttp.server").error("it sent %s", said)
    log.info("after")

    assert len(written.lines) == 4
    assert all(line.isprintable() for line in written.lines)
    if as_json:
        assert written.objects[0]["said"] == said


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "JSON"])
def test_a_traceback_is_part_of_its_line(written: Written, as_json: bool) -> None:
    log = written.begin(json=as_json)
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        log.exception("broke")
        logging.getLogger("asyncio").exception("never retrieved")

    assert len(written.lines) == 2
    assert all("Traceback" in line and "ValueError" in line for line in written.lines)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(datetime(2026, 1, 1, tzinfo=UTC), id="a time"),
        pytest.param(timedelta(seconds=1), id="a duration"),
        pytest.param({1, 2}, id="a set"),
        pytest.param(float("nan"), id="what JSON has no word for"),
        pytest.param({("a", "b"): 1}, id="a key that JSON does not know"),
        pytest.param(object(), id="an object"),
        pytest.param(b"\xff\x00", id="bytes"),
        pytest.param(Odd(), id="what cannot be shown"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "JSON"])
def test_every_value_can_be_logged(written: Written, as_json: bool, value: object) -> None:
    log = written.begin(json=as_json)

    log.warning("seen", value=value, other="kept")

    (line,) = written.lines
    assert "seen" in line
    assert "kept" in line
    if as_json:
        parsed = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert parsed["level"] == "warning"


@pytest.mark.parametrize(
    "secret", ["plain-token-1", 'it\'s "quoted"', "back\\slash'", "schlüssel\u2028x", "two\nlines"]
)
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "JSON"])
def test_a_secret_is_masked_however_it_would_be_written(
    written: Written, as_json: bool, secret: str
) -> None:
    log = written.begin(json=as_json, secrets=(secret,))
    event = f"sent {secret}"

    log.info("sent", header=f"Bearer {secret}", deep={"headers": [secret]}, alone=secret)
    log.info(event)
    logging.getLogger("slack_sdk").warning("posting to %s", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        log.exception("broke")

    text = written.raw.decode()
    assert "***" in text
    for part in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]):
        assert part not in text


@pytest.mark.parametrize("name", ["aiohttp.server", "apscheduler.scheduler", "slack_sdk.web"])
def test_libraries_log_once_and_only_what_matters(written: Written, name: str) -> None:
    written.begin(json=True)
    written.begin(json=True)

    logging.getLogger(name).info("chatter")
    logging.getLogger(name).error("trouble %d", 7)

    assert [one["event"] for one in written.objects] == ["trouble 7"]
    assert written.objects[0]["level"] == "error"
    assert "_record" not in written.objects[0]


def test_a_library_that_logs_wrongly_stops_nobody(written: Written) -> None:
    written.begin()

    logging.getLogger("some.library").error("%d of them", "one")

    assert written.lines == ["some.library logged what cannot be shown: TypeError"]


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_a_level_leaves_out_what_is_below_it(written: Written, level: str, said: list[str]) -> None:
    log = written.begin(level=level, json=True)

    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)(name)

    assert [one["event"] for one in written.objects] == said


def test_a_line_of_text_can_be_read_and_cut(written: Written) -> None:
    written.begin().info("started", endpoints=3, store="/var/lib/monitor db", note="")

    time, level, event, *pairs = written.lines[0].split(" ", 4)

    assert datetime.fromisoformat(time).tzinfo is not None
    assert (level, event) == ("info", "")
    assert "".join(pairs).strip() == "started endpoints=3 store='/var/lib/monitor db' note=''"


def test_a_log_in_memory_works_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="info", json=False, mask=str)
    Log().info("said")

    assert " said" in capsys.readouterr().err


@contextmanager
def pipe() -> Iterator[tuple[int, Any]]:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        yield reading, stream


def test_a_full_pipe_is_never_waited_for_and_what_is_missing_is_said() -> None:
    with pipe() as (reading, stream):
        lines = Lines(stream)
        for number in range(2_000):
            lines.write(f"{number} " + "x" * 100)
        kept = os.read(reading, 1 << 20).decode()
        while not kept.endswith("\n"):
            kept += os.read(reading, 1 << 20).decode()

        lines.write("after")
        later = os.read(reading, 1 << 20).decode()
        os.close(reading)

    lost = 2_000 - kept.count("\n")
    assert 0 < lost < 2_000
    assert later == f"{lost} lines of the log could not be written\nafter\n"


def test_a_line_that_broke_off_has_an_end_before_the_next_begins() -> None:
    with pipe() as (reading, stream):
        lines = Lines(stream)
        for number in range(60):
            lines.write(f"{number} " + "x" * 9_000)
        kept = os.read(reading, 1 << 20).decode()
        lines.write("after")
        later = os.read(reading, 1 << 20).decode()
        os.close(reading)

    assert not kept.endswith("\n"), "the last one broke off"
    assert later.startswith("\n")
    assert later.endswith(" lines of the log could not be written\nafter\n")


def test_a_line_that_a_full_disk_broke_off_has_an_end_before_the_next_begins(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk") as disk, (disk.folder / "log").open("a") as stream:
        lines = Lines(stream)
        lines.write("before")
        disk.fill()
        lines.write("x" * 9_000)
        disk.make_room()
        lines.write("after")
        before, broken, *after = (disk.folder / "log").read_text().split("\n")

    assert before == "before"
    assert 0 < len(broken) < 9_000
    assert broken.strip("x") == ""
    assert after == ["1 lines of the log could not be written", "after", ""]


def test_a_pipe_that_stays_full_costs_the_new_lines_only() -> None:
    with pipe() as (reading, stream):
        lines = Lines(stream)
        for _ in range(3_000):
            lines.write("x" * 100)
        first = os.read(reading, 1 << 20)
        os.close(reading)

    assert first.startswith(b"x" * 100)


def test_a_reader_that_went_away_stops_nobody() -> None:
    with pipe() as (reading, stream):
        os.close(reading)

        for _ in range(3):
            Lines(stream).write("into the void")


def test_a_closed_stream_stops_nobody(tmp_path: Path) -> None:
    stream = (tmp_path / "log").open("w")
    lines = Lines(stream)
    stream.close()

    lines.write("one")
    lines.write("two")
    Lines(None).write("three")

    assert (tmp_path / "log").read_text() == ""


def test_warnings_of_python_itself_do_not_break_the_log(written: Written) -> None:
    log = written.begin()

    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        warnings.warn("old\nhabit", DeprecationWarning, stacklevel=1)
    log.info("after")

    assert len(written.lines) == 1
