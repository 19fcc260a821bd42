"""A hook runner on a socket, as systemd would start it: one for each connection."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from monitor.hooks.command import CommandOptions
from monitor.runner.protocol import LARGEST_ANSWER, Answer, read_answer
from monitor.runner.records import Keys, Records
from monitor.runner.service import serve
from monitor.runner.tied_service import serve_tied
from monitor.tools.hook_runner import prepare
from monitor.tools.probe_runner import find_command
from tests.support.program import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONFIG: Final = """
endpoints:
  api: {url: "http://127.0.0.1:1/", service: shop}
services:
  shop:
    rollback:
      steps:
        - command: {run: [./hook.py, --back], timeout: 20s, env: {TOKEN: hook-canary-1b2c}}
        - webhook: {url: "http://127.0.0.1:1/"}
"""


@dataclass
class Runner:
    """A runner that listens; `answer` takes each connection, in a thread of its own."""

    folder: Path
    answer: Callable[[socket.socket], None]
    path: Path
    asked: int = 0
    _threads: list[threading.Thread] = field(default_factory=list)

    def run(self, listening: socket.socket) -> None:
        with suppress(OSError):  # closed: that is the end
            while True:
                connection, _ = listening.accept()
                self.asked += 1
                thread = threading.Thread(target=self._take, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _take(self, connection: socket.socket) -> None:
        with connection:
            self.answer(connection)

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(timeout=30)

    def say(self, line: bytes) -> Answer:
        """Send bytes as they are, and give what comes back."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(str(self.path))
            connection.sendall(line)
            return read_answer(connection.makefile("rb").readline(LARGEST_ANSWER))


@contextmanager
def listening(folder: Path, answer: Callable[[socket.socket], None]) -> Iterator[Runner]:
    """Listen, and let `answer` have each connection."""
    path = folder / "runner.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        runner = Runner(folder, answer, path)
        accepting = threading.Thread(target=runner.run, args=(server,))
        accepting.start()
        try:
            yield runner
        finally:
            server.shutdown(socket.SHUT_RDWR)
            accepting.join(timeout=10)
            runner.wait()
            path.unlink()


@contextmanager
def runner_here(folder: Path, *, before: Callable[[], object] = lambda: None) -> Iterator[Runner]:
    """Run the hook runner in this process, over `folder/monitor.yml` and `folder/kept`.

    `before` is called before it looks at a connection.
    """
    records = keep(folder)

    def answer(connection: socket.socket) -> None:
        before()
        serve(
            connection,
            group=None,
            records=records,
            prepare=lambda order: prepare(order, paths=[folder / "monitor.yml"], environ={}),
        )

    with listening(folder, answer) as runner:
        yield runner


@contextmanager
def probe_runner_here(folder: Path) -> Iterator[Runner]:
    """Run the runner of probes in this process, over `folder/monitor.yml` and `folder/kept`."""
    keep(folder)

    def answer(connection: socket.socket) -> None:
        serve_tied(
            connection,
            group=None,
            keys=Keys(folder / "kept"),
            find=lambda order: find_command(order, paths=[folder / "monitor.yml"], environ={}),
        )

    with listening(folder, answer) as runner:
        yield runner


@dataclass
class Started:
    """The processes that were started for connections."""

    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)


@contextmanager
def runner_as_started(folder: Path, *options: str) -> Iterator[tuple[Runner, Started]]:
    """Start the installed command for each connection, with the connection as its input."""
    keep(folder)
    started = Started()

    def answer(connection: socket.socket) -> None:
        with (folder / "runner.log").open("ab") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "monitor", "hook-runner", *options),
                    *("--config", str(folder / "monitor.yml")),
                ],
                stdin=connection.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=environment(
                    {
                        "STATE_DIRECTORY": str(folder / "kept"),
                        "RUNTIME_DIRECTORY": str(folder / "kept"),
                    }
                ),
                cwd="/",
            )
        connection.close()
        started.processes.append(process)
        process.wait(timeout=60)

    with listening(folder, answer) as runner:
        yield runner, started


def keep(folder: Path) -> Records:
    """Make the folder of the results."""
    (folder / "kept").mkdir(exist_ok=True)

    return Records(folder / "kept")


def fingerprint(folder: Path, *run: str, **env: Any) -> str:
    """Give the fingerprint of a command beside the configuration."""
    options = CommandOptions.model_validate(
        {"run": list(run or ("./hook.py", "--back")), "env": env or {"TOKEN": "x"}},
        context={"base": folder},
    )

    return options.fingerprint
