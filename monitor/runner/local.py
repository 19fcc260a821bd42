"""The local subprocess: its own session, its output drained but capped, its whole group stopped."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import selectors
import signal
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from io import FileIO
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

from monitor.runner.command import Finished

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

OUTPUT_LIMIT: Final = 64 * 1024
KILL_AFTER: Final = timedelta(seconds=10)
"""How long a group has between the request to stop and the end."""

_CHUNK: Final = 64 * 1024
_PIPE_SIZE: Final = 1024 * 1024
"""How much a program can write after we have ended, before it has to wait for a reader."""

_GOES_FIRST: Final = "500"
"""The `oom_score_adj` of what is run: where memory runs out, it goes before the monitor does."""

_LOOK_EVERY: Final = 0.05
"""How often we look whether it has ended, in seconds."""


async def run_command(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    stdin: bytes,
    timeout: timedelta,
    output_limit: int = OUTPUT_LIMIT,
    cwd: Path | None = None,
    kill_after: timedelta = KILL_AFTER,
) -> Finished:
    """Run a program with exactly this environment; after `timeout` TERM, then KILL, to its group.

    A cancelled call leaves the program running: what was begun is not torn down half-way. The
    thread that watches it keeps doing so while this process lives, and never holds up its end.
    """
    order = Run(
        argv=tuple(argv),
        env=dict(env),
        stdin=stdin,
        timeout=timeout.total_seconds(),
        limit=output_limit,
        cwd=cwd,
        kill_after=kill_after.total_seconds(),
    )
    try:
        return await begin(order)
    except NoThread as error:
        return Finished(problem=str(error))


class NoThread(Exception):
    """This machine allows no further thread, so nothing was begun."""


def begin(order: Run) -> asyncio.Future[Finished]:
    """Run a program, watched by a thread of its own; raises NoThread.

    The thread goes on if the future is cancelled.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Finished] = loop.create_future()

    def watch() -> None:
        finished: Finished | Exception
        try:
            finished = run_here(order)
        except Exception as error:  # noqa: BLE001 - a bug of ours: whoever waits has to hear of it
            finished = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, ended, finished)

    try:
        threading.Thread(target=watch, name=f"run {order.argv[0]}", daemon=True).start()
    except RuntimeError as error:
        raise NoThread(str(error)) from error

    return ended


def _settle(ended: asyncio.Future[Finished], finished: Finished | Exception) -> None:
    if ended.done():
        return
    if isinstance(finished, Exception):
        ended.set_exception(finished)
    else:
        ended.set_result(finished)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """What holds a program to whoever wants it: without them it is ended, with all that it started.

    `let_go` says that nobody waits any more. `started` is called with the process group once there
    is one, `ended` once nobody is left in it.
    """

    let_go: Callable[[], bool]
    started: Callable[[int], None] = lambda _group: None
    ended: Callable[[int], None] = lambda _group: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What to run; times in seconds, the limit in bytes.

    Without a `tie` it goes on when we end, and what it leaves behind in its group is left alone.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    stdin: bytes
    timeout: float
    limit: int
    cwd: Path | None
    kill_after: float
    tie: Tie | None = None


@dataclass(slots=True)
class _Output:
    """The end of what was written, at most `limit` bytes of it."""

    limit: int
    kept: bytearray = field(default_factory=bytearray)
    truncated: bool = False

    def take(self, chunk: bytes) -> None:
        self.kept += chunk
        if len(self.kept) > self.limit:
            del self.kept[: len(self.kept) - self.limit]
            self.truncated = True


def run_here(order: Run) -> Finished:
    """Run a program and wait for its end, in this thread."""
    try:
        process, answer = _start(order)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return Finished(problem=_explain(error))

    tie = order.tie
    if tie is not None:
        tie.started(process.pid)
    output = _Output(order.limit)
    with _Pipes(process, answer, order.stdin, output) as pipes:
        let_go = tie.let_go if tie is not None else lambda: False
        ended = _wait(process, pipes, monotonic() + order.timeout, let_go)
        if not ended:
            _stop_group(process, pipes, order.kill_after)
        elif tie is not None:
            _signal_group(process.pid, signal.SIGKILL)
        pipes.drain()

    code = process.wait()
    if tie is not None:
        tie.ended(process.pid)

    return Finished(
        exit_code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        output=output.kept.decode("utf-8", "replace"),
        truncated=output.truncated,
        timed_out=not ended,
    )


def _start(order: Run) -> tuple[subprocess.Popen[bytes], FileIO]:
    """Start the program; give it with the end of the pipe at which its output comes.

    One that is not tied to us holds that end as well: so it can go on to write after we have ended,
    and is not killed.
    """
    read, write = os.pipe()
    answer = FileIO(read)
    try:
        with suppress(OSError):
            fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        process = subprocess.Popen(
            order.argv,
            env=order.env,
            cwd=order.cwd,
            stdin=subprocess.PIPE,
            stdout=write,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
            pass_fds=(read,) if order.tie is None else (),
        )
        with suppress(OSError):  # no longer ours to say, or ended already
            Path(f"/proc/{process.pid}/oom_score_adj").write_text(_GOES_FIRST)
    except BaseException:
        answer.close()
        raise
    finally:
        os.close(write)

    return process, answer


class _Pipes:
    """Both ends of the conversation: fed and drained without ever waiting for the other side."""

    def __init__(
        self, process: subprocess.Popen[bytes], answer: FileIO, stdin: bytes, output: _Output
    ) -> None:
        assert process.stdin is not None
        self._stdin = process.stdin
        self._stdout = answer
        self._left = memoryview(stdin)
        self._output = output
        self._selector = selectors.DefaultSelector()
        for pipe, event in (
            (self._stdin, selectors.EVENT_WRITE),
            (self._stdout, selectors.EVENT_READ),
        ):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, event)
        self._end: int | None = None
        with suppress(OSError):  # no descriptor left: then its end is seen at the next look
            self._end = os.pidfd_open(process.pid)
            self._selector.register(self._end, selectors.EVENT_READ)

    def __enter__(self) -> _Pipes:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        if self._end is not None:
            os.close(self._end)
        self._stdin.close()
        self._stdout.close()

    def turn(self, longest: float) -> None:
        """Move what can be moved; wait at most so many seconds for anything."""
        if not self._selector.get_map():
            threading.Event().wait(longest)
            return

        for key, _ in self._selector.select(longest):
            if key.fileobj is self._stdin:
                self._feed()
            elif key.fileobj is self._stdout:
                self._read()
            else:
                self._selector.unregister(key.fileobj)  # it has ended: whoever turns will see

    def drain(self) -> None:
        """Take what lies in the pipe now; a process that still holds it is not waited for."""
        for _ in range(_PIPE_SIZE // _CHUNK + 1):
            if not self._read():
                return

    def _feed(self) -> None:
        try:
            written = os.write(self._stdin.fileno(), self._left[:_CHUNK])
        except BlockingIOError:
            return
        except OSError:  # it does not want to hear more
            written = len(self._left)
        self._left = self._left[written:]
        if not self._left:
            self._selector.unregister(self._stdin)
            self._stdin.close()

    def _read(self) -> bool:
        try:
            chunk = os.read(self._stdout.fileno(), _CHUNK)
        except OSError:
            return False
        if not chunk:
            with suppress(KeyError):
                self._selector.unregister(self._stdout)
            return False

        self._output.take(chunk)

        return True


def _wait(
    process: subprocess.Popen[bytes], pipes: _Pipes, until: float, let_go: Callable[[], bool]
) -> bool:
    """Wait for the program itself, not for what it left behind; say whether it ended in time."""
    while process.poll() is None:
        remaining = until - monotonic()
        if remaining <= 0 or let_go():
            return False
        pipes.turn(min(_LOOK_EVERY, remaining))

    return True


def _stop_group(process: subprocess.Popen[bytes], pipes: _Pipes, kill_after: float) -> None:
    until = monotonic() + kill_after
    _signal_group(process.pid, signal.SIGTERM)
    while monotonic() < until:
        if process.poll() is not None and not _signal_group(process.pid, 0):
            return
        pipes.turn(_LOOK_EVERY)

    _signal_group(process.pid, signal.SIGKILL)


def _signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; say whether anybody is left in it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False

    return True


def _explain(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        name = f": {error.filename}" if error.filename else ""
        if error.errno == errno.ENOENT and name and Path(error.filename).is_file():
            return f"what its first line names is not there{name}"
        return f"{os.strerror(error.errno)}{name}"

    return str(error)
