"""The installed program as others use it: a command that ends, and a daemon that runs."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from tests.support.servers import unused_port
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

IMPATIENT: Final = (str(Path(__file__).with_name("impatient.py")),)
"""What Python runs where a test would wait long for the end of the program's patience."""


@dataclass(frozen=True)
class Ended:
    """A command that ended: its exit code, and what it wrote."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the environment of a command: the test's own, without color or a foreign store."""
    kept = {name: value for name, value in os.environ.items() if name != "STATE_DIRECTORY"}

    return {**kept, "NO_COLOR": "1", **(extra or {})}


async def start(*args: str, cwd: Path, environ: Mapping[str, str] | None = None) -> Process:
    """Start the program with these arguments."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "monitor",
        *args,
        cwd=cwd,
        env=environment(environ),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(*args: str, cwd: Path, environ: Mapping[str, str] | None = None) -> Ended:
    """Run the program to its end."""
    process = await start(*args, cwd=cwd, environ=environ)
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None

    return Ended(process.returncode, out.decode(), err.decode())


@dataclass
class Daemon:
    """A daemon that runs; its log is in a file."""

    process: Process
    port: int
    folder: Path
    log: Path
    session: aiohttp.ClientSession = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def get(self, path: str, **options: Any) -> tuple[int, str]:
        async with self.session.get(self.url + path, **options) as answer:
            return answer.status, await answer.text()

    async def post(self, path: str, **options: Any) -> tuple[int, str]:
        async with self.session.post(self.url + path, **options) as answer:
            return answer.status, await answer.text()

    async def status(self) -> dict[str, Any]:
        _, text = await self.get("/api/v1/status")
        found: dict[str, Any] = json.loads(text)

        return found

    async def metric(self, name: str, **labels: str) -> float:
        """Give a metric of ours: the sum of all its series that have these labels."""
        _, page = await self.get("/metrics")
        series = re.compile(rf"^production_monitor_{name}(?:{{(.*)}})? (\S+)$", re.MULTILINE)
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        found = [
            float(value)
            for has, value in series.findall(page)
            if wanted <= set(re.findall(r'\w+="[^"]*"', has))
        ]
        assert found, f"no {name} with {labels}"

        return sum(found)

    async def until(
        self, happened: Callable[[dict[str, Any]], object], what: str = "it to happen"
    ) -> dict[str, Any]:
        """Look at the status until something has happened."""
        async with asyncio.timeout(PATIENCE):
            while True:
                status = await self.status()
                if happened(status):
                    return status
                await asyncio.sleep(0.05)
        raise AssertionError(what)

    def hang_up(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it with a signal; give its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    def said(self) -> str:
        return self.log.read_text()


@asynccontextmanager
async def daemon(
    folder: Path,
    *args: str,
    environ: Mapping[str, str] | None = None,
    port: int | None = None,
    config: str = "monitor.yml",
    before: Sequence[str] = (),
    connector: aiohttp.BaseConnector | None = None,
    stderr: int | None = None,
    program: Sequence[str] = ("-m", "monitor"),
) -> AsyncIterator[Daemon]:
    """Run a daemon in a folder that holds its configuration, and wait until it is ready.

    The configuration listens on `${PORT}`. `before` is a command that becomes the daemon, such as
    `prlimit`; `connector` is the way to one that is in another network. The log
    goes to a file, or to the descriptor `stderr`. `program` may be IMPATIENT.
    """
    port = port or unused_port()
    log = folder / "daemon.log"
    with log.open("ab") as written:
        process = await asyncio.create_subprocess_exec(
            *before,
            sys.executable,
            *program,
            "run",
            "--config",
            config,
            *args,
            cwd=folder,
            env=environment({"PORT": str(port), **(environ or {})}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=written if stderr is None else stderr,
        )
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=10), connector=connector
    ) as session:
        running = Daemon(process, port, folder, log, session)
        try:
            await _wait_until_ready(running)
            yield running
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _wait_until_ready(running: Daemon) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            if running.process.returncode is not None:
                raise AssertionError(f"the daemon ended: {running.said()}")
            try:
                code, _ = await running.get("/-/ready")
            except aiohttp.ClientError:
                code = 0
            if code == 200:
                return
            await asyncio.sleep(0.05)
