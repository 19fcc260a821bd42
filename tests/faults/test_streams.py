"""The program among broken standard streams: closed, full, or of few letters."""

from __future__ import annotations

import shlex
import sys
from subprocess import run
from typing import TYPE_CHECKING

import pytest

from tests.support.program import environment
from tests.support.servers import unused_port

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

PROGRAM = shlex.join([sys.executable, "-m", "monitor"])
CHECK = f"{PROGRAM} --config monitor.yml --cycles 1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a configuration whose only endpoint refuses the connection."""
    url = f"http://127.0.0.1:{unused_port()}/"
    (tmp_path / "monitor.yml").write_text(f"endpoints:\n  shop: {url}\n")

    return tmp_path


def shell(command: str, folder: Path, **environ: str) -> CompletedProcess[bytes]:
    """Run a command of a shell that knows `<(…)` to its end."""
    return run(
        ["/bin/bash", "-c", command],
        cwd=folder,
        env=environment(environ),
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_changes_no_verdict(closed: str, folder: Path) -> None:
    ended = shell(f"{CHECK} {closed}", folder)

    assert ended.returncode == 1
    assert ended.stderr == b""
    assert (b"FAIL" in ended.stdout) is (">&-" not in closed.replace("2>&-", ""))


def test_a_log_that_is_closed_before_the_start_never_becomes_the_store(folder: Path) -> None:
    ended = shell(f"{CHECK} 2>&-; {CHECK}", folder, MONITOR_LOG_LEVEL="debug")

    assert ended.returncode == 1
    assert b"corrupt" not in ended.stderr
    assert b"2 in a row" in ended.stdout


def test_a_full_disk_under_the_output_is_said_in_one_line(folder: Path) -> None:
    ended = shell(f"{CHECK} >/dev/full", folder)

    assert ended.returncode == 2
    assert ended.stderr == b"the output cannot be written: no space left on device\n"


def test_an_output_that_knows_few_letters_gets_the_others_escaped(folder: Path) -> None:
    ended = shell(CHECK, folder, PYTHONIOENCODING="latin-1")

    assert ended.returncode == 1
    assert ended.stdout.startswith(rb"\u2718 FAIL")


def test_a_configuration_may_come_through_a_pipe(folder: Path) -> None:
    ended = shell(f"{PROGRAM} --cycles 1 --config <(cat monitor.yml)", folder)

    assert ended.returncode == 1, ended.stderr
    assert b"shop.health" in ended.stdout


@pytest.mark.parametrize("empty", ["MONITOR_LOG_LEVEL", "MONITOR_LOG_FORMAT", "MONITOR_CYCLES"])
def test_a_variable_that_is_empty_is_not_set(empty: str, folder: Path) -> None:
    ended = shell(CHECK, folder, **{empty: ""})

    assert ended.returncode == 1
    assert ended.stderr == b""


def test_a_list_of_no_configurations_is_none(tmp_path: Path) -> None:
    ended = shell(f"{PROGRAM} --cycles 1", tmp_path, MONITOR_CONFIG=":")

    assert ended.returncode == 2
    assert b"no configuration" in ended.stderr
