"""The kind `browser` by the installed command: its example, and what is left of it after a kill."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from tests.support.program import daemon, run
from tests.support.servers import page, serve_pages

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.needs("chromium")

EXAMPLE = Path(__file__).parents[2] / "config" / "examples" / "browser.yml"
HTML = {"Content-Type": "text/html"}
HOME = b"<main><h1>Welcome</h1></main>"
CART = b"""<script>
console.error('[analytics] blocked');
setTimeout(() => { document.body.innerHTML = '<p id="total">12.50 EUR</p>' }, 50)
</script><p>..."""


def children_of(pid: int) -> set[int]:
    """Give all processes below one, as far as they are still alive."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            fields = state.rpartition(")")[2].split()
            if fields[0] not in "ZX":
                parents[int(entry.name)] = int(fields[1])

    found: set[int] = set()
    while more := {one for one, parent in parents.items() if parent in found | {pid}} - found:
        found |= more

    return found


def command_lines(pids: set[int]) -> Mapping[int, str]:
    """Give what each of them runs, without those that are gone."""
    found = {}
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            line = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if state.rpartition(")")[2].split()[0] not in "ZX":
            found[pid] = line.replace("\0", " ")

    return found


async def test_the_pages_of_the_example_are_looked_at(tmp_path: Path) -> None:
    keys: list[str | None] = []
    broken = [False]

    async def cart(request: web.Request) -> web.StreamResponse:
        keys.append(request.headers.get("X-Synthetic"))
        body = b"<script>console.error('slow'); undefined.total()</script>" if broken[0] else b""
        return web.Response(body=CART + body, headers=HTML)

    (tmp_path / "overlay.yml").write_text("witnesses: []\ndefaults: {timeout: 15s}\n")
    async with serve_pages({"/": page(HOME, headers=HTML), "/cart": cart}) as server:
        environ = {"SHOP": server.origin, "SYNTHETIC_KEY": "hunter22"}
        arguments = ("--config", str(EXAMPLE), "--config", str(tmp_path / "overlay.yml"))
        good = await run(
            *arguments, "--cycles", "1", "--output", "json", cwd=tmp_path, environ=environ
        )
        told = await run("probe", "home", *arguments, cwd=tmp_path, environ=environ)
        broken[0] = True
        bad = await run(*arguments, "--cycles", "1", cwd=tmp_path, environ=environ)

    assert "200, from 127.0.0.1" in told.out
    assert "console_errors none" in told.out
    assert good.code == 0, good.out + good.err
    checks = {check["check"]: check["verdict"] for check in good.json()["checks"]}
    assert {checks["home.health"], checks["cart.health"]} == {"pass"}
    assert keys == ["hunter22", "hunter22"]
    assert "console errors" in bad.out
    assert "hunter22" not in good.out + good.err + bad.out + bad.err


@pytest.fixture
def scratch() -> Iterator[str]:
    """Give a directory with a name that is short enough for Chromium's sockets."""
    with TemporaryDirectory() as folder:
        yield folder


@pytest.mark.parametrize("hanging", [False, True], ids=["", "that hangs"])
async def test_a_monitor_that_is_killed_leaves_no_browser(
    tmp_path: Path, hanging: bool, scratch: str
) -> None:
    async with serve_pages({"/": page(b"<p>x</p>", headers=HTML)}) as server:
        (tmp_path / "monitor.yml").write_text(
            "environment: test\nweb: {listen: '127.0.0.1:${PORT}'}\n"
            "endpoints:\n  shop:\n    every: 1s\n    timeout: 1s\n"
            f"    browser: {{url: '{server.url()}', wait_for: '#never'}}\n"
        )
        async with daemon(tmp_path, environ={"TMPDIR": scratch}) as running:
            async with asyncio.timeout(20):
                while server.connections < 2:  # the second look has begun
                    await asyncio.sleep(0.02)
            family = children_of(running.process.pid)
            lines = command_lines(family)
            browsers = [pid for pid, line in lines.items() if "--type=zygote" in line]
            drivers = [pid for pid, line in lines.items() if "run-driver" in line]
            if hanging:
                os.killpg(os.getpgid(browsers[0]), signal.SIGSTOP)
            os.kill(running.process.pid, signal.SIGKILL)
            if hanging:  # the guard alone is left to see to it
                os.kill(drivers[0], signal.SIGKILL)
            await running.process.wait()
            async with asyncio.timeout(10):
                while left := command_lines(family):
                    await asyncio.sleep(0.02)

    assert browsers
    assert not left
