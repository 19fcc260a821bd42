"""Keys of heartbeats: whose they are, and how often the files of some of them are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.hearing import READ_EVERY, Keys
from monitor.options import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

OLD, NEW = "old-key-of-a-file", "new-key-of-a-file"


class Box:
    """A file with a key, and how often it was read."""

    def __init__(self, key: str = OLD) -> None:
        self.key = key
        self.reads = 0

    def read(self) -> str:
        self.reads += 1
        return self.key


class Time:
    """A clock that stands."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def make(box: Box) -> tuple[Keys, Time]:
    time = Time()
    known = {"fixed": Secret("kkkk-1111-2222-3333"), "backup": Secret(OLD, box.read)}

    return Keys(lambda: known, time), time


def test_a_key_tells_its_endpoint_and_no_part_of_it_does() -> None:
    keys, _ = make(Box())

    assert keys.find("kkkk-1111-2222-3333") == "fixed"
    assert keys.find(OLD) == "backup"
    assert [keys.find(one) for one in (OLD[:-1], OLD + "x", "", "backup", "\udcff")] == [None] * 5


def test_strangers_who_try_many_keys_do_not_have_files_read_for_each() -> None:
    box = Box()
    keys, time = make(box)

    for number in range(100):
        assert keys.find(f"a-wrong-key-number-{number}") is None
    first = box.reads
    time.now += READ_EVERY
    for number in range(100):
        assert keys.find(f"a-wrong-key-number-{number}") is None

    assert first <= 2
    assert box.reads - first <= 2


def test_a_new_key_of_a_file_is_known_at_once() -> None:
    box = Box()
    keys, _ = make(box)
    assert keys.find(OLD) == "backup"

    box.key = NEW

    assert keys.find(NEW) == "backup"
    assert keys.find(OLD) is None


def test_a_key_that_was_taken_back_opens_nothing_after_a_second() -> None:
    box = Box()
    keys, time = make(box)
    assert keys.find(OLD) == "backup"

    box.key = NEW
    time.now += READ_EVERY

    assert keys.find(OLD) is None


def test_a_file_that_is_half_written_opens_nothing() -> None:
    box = Box("n")
    keys, _ = make(box)

    assert keys.find("n") is None


def test_keys_of_a_reload_are_known_at_once() -> None:
    known: list[Mapping[str, Secret]] = [{"backup": Secret(OLD)}]
    keys = Keys(lambda: known[-1], Time())
    assert keys.find(OLD) == "backup"

    known.append({"other": Secret(NEW)})

    assert (keys.find(OLD), keys.find(NEW)) == (None, "other")
