"""What the hook runner remembers: exactly one may begin, and its result is kept."""

from __future__ import annotations

import os
import threading
from time import time
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.rollback import Effect, EffectOutcome
from monitor.runner.protocol import Answer, Known
from monitor.runner.records import ALWAYS_KEPT, RETENTION, NoResult, Records

if TYPE_CHECKING:
    from pathlib import Path

NAME = "rollback.1.1.1"
LONG = RETENTION.total_seconds() + 60
DONE = Answer(known=Known.RESULT, effect=Effect(outcome=EffectOutcome.DONE, detail="exit 0"))


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path)


def test_an_attempt_goes_from_never_seen_over_running_to_its_result(records: Records) -> None:
    before = records.recall(NAME)
    with records.begin(NAME, {"service": "shop"}) as mine:
        during = records.recall(NAME)
        records.finish(NAME, DONE)
        finished = records.recall(NAME)

    assert mine
    assert (before, during, finished) == (
        NoResult.NEVER_SEEN,
        NoResult.RUNNING,
        NoResult.RUNNING,
    )
    assert records.recall(NAME) == DONE


def test_who_ends_without_a_result_leaves_it_unfinished(records: Records) -> None:
    with records.begin(NAME, {}):
        pass

    assert records.recall(NAME) is NoResult.UNFINISHED


def test_a_result_that_was_torn_is_none(records: Records, tmp_path: Path) -> None:
    with records.begin(NAME, {}):
        records.finish(NAME, DONE)
    (tmp_path / f"{NAME}.result").write_text('{"known": "res')

    assert records.recall(NAME) is NoResult.UNFINISHED


@pytest.mark.parametrize("begun_before", [True, False], ids=["it ended", "at the same time"])
def test_of_all_who_want_to_begin_exactly_one_may(records: Records, begun_before: bool) -> None:
    if begun_before:
        with records.begin(NAME, {}):
            pass
    gate = threading.Barrier(8)
    mine: list[bool] = []

    def begin() -> None:
        gate.wait(10)
        with records.begin(NAME, {}) as is_mine:
            mine.append(is_mine)
            gate.wait(10)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert sorted(mine) == [False] * (8 - (not begun_before)) + [True] * (not begun_before)


def test_nothing_is_left_but_what_is_kept(records: Records, tmp_path: Path) -> None:
    with records.begin(NAME, {}):
        records.finish(NAME, DONE)
    with records.begin(NAME, {}) as again:
        pass

    assert not again
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{NAME}.begun", f"{NAME}.result"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())


def test_what_cannot_be_recorded_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"), Records(tmp_path / "gone").begin(NAME, {}):
        raise AssertionError("nothing may be done")


def test_a_result_that_cannot_be_kept_is_told_and_leaves_nothing(
    records: Records, tmp_path: Path
) -> None:
    (tmp_path / f"{NAME}.result").mkdir()

    with pytest.raises(OSError, match="directory"):
        records.finish(NAME, DONE)

    assert [path.name for path in tmp_path.iterdir()] == [f"{NAME}.result"]


def carry_out(records: Records, name: str, folder: Path, *, seconds_ago: float) -> None:
    with records.begin(name, {}):
        records.finish(name, DONE)
    for kind in ("begun", "result"):
        age(folder / f"{name}.{kind}", seconds_ago)


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time() - seconds, time() - seconds))


def fill_up(records: Records, folder: Path) -> None:
    """Give the folder as many newer results as are kept whatever their age."""
    for number in range(ALWAYS_KEPT):
        carry_out(records, f"newer.1.{number}.1", folder, seconds_ago=0)


def test_an_old_result_is_deleted_but_its_step_is_never_run_again(
    records: Records, tmp_path: Path
) -> None:
    carry_out(records, NAME, tmp_path, seconds_ago=LONG)
    fill_up(records, tmp_path)

    deleted = records.prune()

    assert deleted == 1
    assert records.recall(NAME) is NoResult.UNFINISHED
    with records.begin(NAME, {}) as mine:
        assert not mine


def test_a_result_that_may_be_asked_for_stays(records: Records, tmp_path: Path) -> None:
    carry_out(records, NAME, tmp_path, seconds_ago=RETENTION.total_seconds() - 60)
    fill_up(records, tmp_path)

    assert records.prune() == 0
    assert records.recall(NAME) == DONE


def test_the_newest_results_stay_whatever_the_clock_says(records: Records, tmp_path: Path) -> None:
    carry_out(records, NAME, tmp_path, seconds_ago=0)

    assert records.prune(now=time() + 10 * LONG) == 0
    assert records.recall(NAME) == DONE


def test_what_is_at_work_is_left_alone_however_old_it_is(records: Records, tmp_path: Path) -> None:
    fill_up(records, tmp_path)
    with records.begin(NAME, {}):
        records.finish(NAME, DONE)
        age(tmp_path / f"{NAME}.result", LONG)

        assert records.prune() == 0

    assert records.recall(NAME) == DONE


def test_what_a_killed_runner_left_behind_goes_after_a_day(
    records: Records, tmp_path: Path
) -> None:
    for name, hours in (("yesterday", 25), ("today", 1)):
        (tmp_path / f".{name}").touch()
        age(tmp_path / f".{name}", hours * 3600)

    assert records.prune() == 1
    assert [path.name for path in tmp_path.iterdir()] == [".today"]
