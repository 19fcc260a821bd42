"""The demo: the whole story in order, nothing left behind, and a clear word where it fails."""

from __future__ import annotations

import asyncio
import io
import re
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from rich.console import Console

from monitor.tools.demo import run_demo
from monitor.tools.demo.stage import BAD, FILES, Stage
from tests.support.leftovers import processes_naming
from tests.support.program import run, start

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Iterator

MILESTONES = [
    "shop    version 1.4.0 is live",
    "monitor every check passes",
    "it is the last known good",
    "shop    version 1.5.0 is live; it works at first",
    "api.health fails",
    "#on-call 🚨 shop answers 503, expected 200",
    "rollback from 1.5.0 to 1.4.0 under way",
    "┃ • api.health (critical)",
    "shop    version 1.4.0 is live again",
    "done, and it helped",
    "✅ shop has recovered",
    "The timeline, as the post-mortem will have it:",
    "rollback step 1 (command) done: exit 0",
    "From the first failure to the proven recovery:",
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder whose name is short enough for the control socket of a daemon in it."""
    with tempfile.TemporaryDirectory(prefix="d") as name:
        yield Path(name)


async def read_until(process: Process, words: str) -> str:
    """Read what a program prints up to the line with these words; give that line."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while line := (await process.stdout.readline()).decode():
            if words in line:
                return line
    raise AssertionError(f"it ended without {words!r}")


async def test_the_whole_story_is_told_in_order_and_nothing_is_left(folder: Path) -> None:
    ended = await run("demo", cwd=folder, environ={"TMPDIR": str(folder)})

    assert ended.code == 0, ended.out + ended.err
    assert ended.err == ""
    assert ended.out.index("✅") < ended.out.index("The timeline,")
    assert ended.out.count("has recovered") == 2, "once as told, once in the timeline"
    assert "production-monitor demo --keep" in ended.out
    place = 0
    for milestone in MILESTONES:
        place = ended.out.find(milestone, place)
        assert place >= 0, (milestone, ended.out)
    assert list(folder.iterdir()) == []
    assert processes_naming(str(folder)) == []


async def test_kept_it_goes_on_until_ctrl_c(folder: Path) -> None:
    process = await start("demo", "--keep", cwd=folder, environ={"TMPDIR": str(folder)})
    line = await read_until(process, "The page is at")

    found = re.search(r"http://\S+/", line)
    assert found is not None
    url = (await read_until(process, "The post-mortem is at")).split()[-1]
    async with aiohttp.ClientSession() as session:
        async with session.get(found[0]) as answer:
            page = await answer.text()
        async with session.get(url) as answer:
            written = await answer.text()
    process.send_signal(signal.SIGINT)
    await process.communicate()

    assert answer.status == 200
    assert "api.health" in page
    assert "Proof**: recovered; api.health recovered" in written
    assert process.returncode == 0
    assert list(folder.iterdir()) == []
    assert processes_naming(str(folder)) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_interrupted_it_clears_the_stage(folder: Path, number: signal.Signals) -> None:
    process = await start("demo", cwd=folder, environ={"TMPDIR": str(folder)})
    await read_until(process, "every check passes")

    process.send_signal(number)
    _, said = await process.communicate()

    assert process.returncode == 130
    assert b"Traceback" not in said
    assert list(folder.iterdir()) == []
    assert processes_naming(str(folder)) == []


class QuickStage(Stage):
    """The same play, but the good version is known as good sooner and the bad one fails sooner."""

    def build(self) -> None:
        super().build()
        change(self.config, "certify_after: 5s", "certify_after: 1s")
        change(self.root / "releases" / BAD / "shop.py", "POOL_LASTS = 6.0", "POOL_LASTS = 3.0")


class RefusingStage(QuickStage):
    """The hook says that it cannot."""

    async def release(self, version: str) -> None:
        await super().release(version)
        (self.root / "release.py").write_text("print('no such release')\nraise SystemExit(1)\n")


class LyingStage(QuickStage):
    """The hook says that it did, and did nothing."""

    async def release(self, version: str) -> None:
        await super().release(version)
        (self.root / "release.py").write_text("print('done')\n")


class MistakenStage(Stage):
    """The configuration is wrong."""

    def build(self) -> None:
        super().build()
        change(self.config, "environment: demo", "enviroment: demo")


class SlowStage(QuickStage):
    """The bad version takes longer to fail than anybody waits."""

    def build(self) -> None:
        super().build()
        change(self.root / "releases" / BAD / "shop.py", "POOL_LASTS = 3.0", "POOL_LASTS = 99.0")


def change(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


@pytest.mark.parametrize(
    ("stage", "patience", "said"),
    [
        pytest.param(RefusingStage, 20.0, "the rollback is failed", id="the hook fails"),
        pytest.param(LyingStage, 20.0, "but version 1.5.0 is live", id="the hook lies"),
        pytest.param(MistakenStage, 20.0, "the monitor ended with 2", id="no monitor"),
        pytest.param(SlowStage, 8.0, "waited 8 s for the first failure", id="nothing fails"),
    ],
)
async def test_what_does_not_happen_is_said(
    stage: type[Stage], patience: float, said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    written = io.StringIO()

    code = await run_demo(
        Console(file=written, width=200), keep=False, make_stage=stage, patience=patience
    )

    assert code == 1
    assert re.search(rf"demo    failed: .*{re.escape(said)}", written.getvalue())
    assert "The end of the monitor's log:" in written.getvalue()
    assert list(folder.iterdir()) == []
    assert processes_naming(str(folder)) == []


async def test_a_version_that_is_not_there_cannot_be_released(tmp_path: Path) -> None:
    stage = Stage(tmp_path, 9)
    stage.build()

    with pytest.raises(RuntimeError) as caught:
        await stage.release("9.9.9")

    assert "there is no version '9.9.9'" in str(caught.value)
    assert {path.name for path in FILES.glob("shop_*.py")} == {
        "shop_1_4_0.py",
        "shop_1_5_0.py",
    }
