"""The stage of the demo: a folder with two versions of a shop, and the processes that play."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monitor.tools.demo.receiver import TOKEN

if TYPE_CHECKING:
    from asyncio.subprocess import Process

FILES: Final = Path(__file__).parent / "files"
GOOD: Final = "1.4.0"
BAD: Final = "1.5.0"
_STOP_SECONDS: Final = 15.0


class Stage:
    """Everything that the demo puts on disk and starts; `strike` takes it all away again."""

    def __init__(self, root: Path, slack_port: int) -> None:
        self.root = root
        self.log = root / "monitor.log"
        self.config = root / "monitor.yml"
        self.shop_port, self.monitor_port = _free_ports(2)
        self.monitor_url = f"http://127.0.0.1:{self.monitor_port}"
        self._environment = {
            **os.environ,
            "DEMO_ROOT": str(root),
            "DEMO_PYTHON": sys.executable,
            "DEMO_SHOP_PORT": str(self.shop_port),
            "DEMO_MONITOR_PORT": str(self.monitor_port),
            "DEMO_SLACK_PORT": str(slack_port),
            "DEMO_SLACK_TOKEN": TOKEN,
            "MONITOR_LOG_LEVEL": "info",
            "MONITOR_LOG_FORMAT": "text",
        }
        for name in ("MONITOR_CYCLES", "MONITOR_INTERVAL", "RUNTIME_DIRECTORY", "STATE_DIRECTORY"):
            self._environment.pop(name, None)
        self._shop: Process | None = None
        self._monitor: Process | None = None

    def build(self) -> None:
        """Write both versions of the shop, the way to release one, and the configuration."""
        for version in (GOOD, BAD):
            folder = self.root / "releases" / version
            folder.mkdir(parents=True)
            shutil.copyfile(FILES / f"shop_{version.replace('.', '_')}.py", folder / "shop.py")
        for name in ("release.py", "supervise.py", "monitor.yml"):
            shutil.copyfile(FILES / name, self.root / name)
        (self.root / "current").symlink_to(Path("releases") / GOOD)
        (self.root / "state").mkdir(mode=0o700)
        (self.root / "shop.port").write_text(str(self.shop_port))

    async def open_shop(self) -> None:
        """Start the shop in its own process; the version is what `current` points at."""
        self._shop = await asyncio.create_subprocess_exec(
            sys.executable,
            str(self.root / "supervise.py"),
            str(self.root),
            str(self.shop_port),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the demo, which ends them in order
        )
        (self.root / "shop.pid").write_text(str(self._shop.pid))

    async def start_monitor(self) -> None:
        """Start the monitor as the daemon that it is, with its log in a file."""
        with self.log.open("ab") as log:
            self._monitor = await asyncio.create_subprocess_exec(
                *_COMMAND,
                "run",
                "--config",
                str(self.config),
                cwd=self.root,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )

    async def release(self, version: str) -> None:
        """Put a version live, as a deployment would; raises RuntimeError with what it printed."""
        await self._do(sys.executable, str(self.root / "release.py"), str(self.root), version)

    async def announce(self, version: str) -> None:
        """Tell the monitor of the deploy, with its own command."""
        await self._do(
            *_COMMAND, "deploy", "shop", "--version", version, "--config", str(self.config)
        )

    def monitor_ended(self) -> int | None:
        """Give the exit code of the monitor if it has ended."""
        return None if self._monitor is None else self._monitor.returncode

    def rollbacks_that_ran(self) -> int:
        """Count how often a rollback put a version live, by the shop's own record."""
        lines = (self.root / "releases.log").read_text().splitlines()

        return sum(not line.endswith(" deploy") for line in lines)

    def live_version(self) -> str:
        """Give the version that `current` points at."""
        return (self.root / "current").resolve().name

    async def strike(self) -> None:
        """End what was started, the monitor first."""
        for process in (self._monitor, self._shop):
            if process is None or process.returncode is not None:
                continue
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    async def _do(self, *command: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.root,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)}: {printed.decode(errors='replace').strip()}")


_COMMAND: Final = (sys.executable, "-m", "monitor")


def _free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[Any] = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()

    return ports
