"""What systemd is told, and what its watchdog is fed by."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.systemd import Systemd, Watchdog
from tests.support.logs import capture_logs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECOND = timedelta(seconds=1)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def heard(listener: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(listener.recv(4096).decode())
        except BlockingIOError:
            return messages


def of(listener: socket.socket, **more: str) -> Systemd:
    return Systemd({"NOTIFY_SOCKET": listener.getsockname(), **more})


def test_each_state_is_told_in_the_words_of_systemd(listener: socket.socket) -> None:
    with of(listener) as systemd:
        systemd.ready("watching 3 endpoints")
        systemd.reloading(12_345_678)
        systemd.ready("the last reload was refused:\nREADY=0")
        systemd.feed_watchdog()
        systemd.stopping()

    assert heard(listener) == [
        "READY=1\nSTATUS=watching 3 endpoints",
        "RELOADING=1\nMONOTONIC_USEC=12345",
        "READY=1\nSTATUS=the last reload was refused: READY=0",
        "WATCHDOG=1",
        "STOPPING=1\nSTATUS=",
    ]


def test_a_reload_that_ends_after_the_end_has_begun_does_not_take_that_back(
    listener: socket.socket,
) -> None:
    with of(listener) as systemd:
        systemd.stopping()
        systemd.ready("endpoints watched: 3")

    assert heard(listener) == ["STOPPING=1\nSTATUS="]


def test_a_name_without_a_file_is_reached_as_well() -> None:
    name = f"production-monitor-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name)
        listening.setblocking(False)
        with Systemd({"NOTIFY_SOCKET": f"@{name}"}) as systemd:
            systemd.feed_watchdog()

        assert heard(listening) == ["WATCHDOG=1"]


def test_without_systemd_nobody_is_told_and_nothing_is_wrong() -> None:
    with capture_logs() as log, Systemd({}) as systemd:
        systemd.ready()
        systemd.stopping()

    assert log == []


def test_a_systemd_that_does_not_listen_is_logged_and_survived(tmp_path: Path) -> None:
    with capture_logs() as log, Systemd({"NOTIFY_SOCKET": str(tmp_path / "none")}) as systemd:
        systemd.ready()

    assert [line["event"] for line in log] == ["notify_failed"]


@pytest.mark.parametrize(
    ("environ", "patience"),
    [
        pytest.param({}, 0, id="nobody watches"),
        pytest.param({"WATCHDOG_USEC": "30000000"}, 30, id="for whoever was started"),
        pytest.param({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30, id="us"),
        pytest.param({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0, id="somebody else"),
        pytest.param({"WATCHDOG_USEC": "soon"}, 0, id="nonsense"),
        pytest.param({"WATCHDOG_USEC": "-1"}, 0, id="less than nothing"),
        pytest.param({"WATCHDOG_USEC": "9" * 40}, 0, id="longer than time is"),
    ],
)
def test_the_patience_of_the_watchdog_is_read(environ: dict[str, str], patience: int) -> None:
    assert Systemd(environ).patience == patience * SECOND


class TestTheWatchdogIsFed:
    def fed(
        self, listener: socket.socket, *ticks: tuple[float, float], progresses: bool = True
    ) -> int:
        """Give how many of these ticks fed; each is (when, how late) in seconds."""
        with of(listener, WATCHDOG_USEC="30000000") as systemd:
            watchdog = Watchdog(systemd, lambda: progresses)
            for now, late in ticks:
                watchdog.tick(now, late * SECOND)

        return heard(listener).count("WATCHDOG=1")

    def test_by_ticks_that_are_in_time(self, listener: socket.socket) -> None:
        assert self.fed(listener, (100, 0), (105, 0.5), (110, 2)) == 3

    def test_at_most_every_five_seconds(self, listener: socket.socket) -> None:
        assert self.fed(listener, *((100 + tick / 50, 0) for tick in range(300))) == 2

    def test_not_by_ticks_that_are_late(self, listener: socket.socket) -> None:
        assert self.fed(listener, *((100 + 6.0 * tick, 2.1) for tick in range(20))) == 0

    def test_by_the_first_tick_in_time_after_late_ones(self, listener: socket.socket) -> None:
        assert self.fed(listener, (100, 0), (106, 5), (106.02, 0)) == 2

    def test_not_while_the_store_hangs(self, listener: socket.socket) -> None:
        assert self.fed(listener, (100, 0), (110, 0), progresses=False) == 0

    def test_by_nobody_where_nobody_watches(self, listener: socket.socket) -> None:
        with of(listener) as systemd:
            Watchdog(systemd, lambda: True).tick(100, timedelta())

        assert heard(listener) == []
