"""Names to addresses on threads: shared, bounded, and honest about descriptors."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from monitor import names as module
from monitor.names import (
    Resolver,
    ask_system,
    is_answer,
    read_address,
    without_own_names,
)
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from monitor.names import Address


def loopback(_host: str, port: int) -> Sequence[Address]:
    return socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        pytest.param("127.0.0.1", True, id="IPv4"),
        pytest.param("::1", True, id="IPv6"),
        pytest.param("fe80::1%lo", True, id="a zone"),
        pytest.param("shop.test", False, id="a name"),
        pytest.param("1.2.3", True, id="a short form, as the system reads it"),
        pytest.param("1.2.3.4.5", False, id="too many parts"),
        pytest.param("a:b", False, id="no address at all"),
    ],
)
def test_an_address_as_text_needs_no_resolver(text: str, known: bool) -> None:
    assert (read_address(text, 80) is not None) is known


async def test_an_address_is_answered_without_a_thread() -> None:
    asked: list[str] = []

    def ask(host: str, port: int) -> Sequence[Address]:
        asked.append(host)
        return loopback(host, port)

    lookup = Resolver(ask=ask).begin("127.0.0.1", 80)

    assert lookup.started
    assert (await lookup.answer())[0][4] == ("127.0.0.1", 80)
    assert asked == []


async def test_probes_of_a_name_that_hangs_share_its_newest_lookup() -> None:
    release = threading.Event()

    def ask(host: str, port: int) -> Sequence[Address]:
        release.wait(10)
        return loopback(host, port)

    resolver = Resolver(threads=8, per_name=2, ask=ask)
    lookups = [resolver.begin("hangs.test", 80) for _ in range(5)]
    waiting = [asyncio.create_task(lookup.answer()) for lookup in lookups]
    release.set()
    found = await asyncio.gather(*waiting)

    assert len({id(lookup) for lookup in lookups}) == 2
    assert all(addresses[0][4] == ("127.0.0.1", 80) for addresses in found)


async def test_an_error_reaches_everyone_who_waits() -> None:
    def ask(_host: str, _port: int) -> Sequence[Address]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    resolver = Resolver(per_name=1, ask=ask)
    lookup = resolver.begin("gone.test", 80)

    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await lookup.answer()


async def test_one_who_stopped_waiting_is_no_trouble() -> None:
    release = threading.Event()

    def ask(host: str, port: int) -> Sequence[Address]:
        release.wait(10)
        return loopback(host, port)

    lookup = Resolver(ask=ask).begin("slow.test", 80)
    impatient = asyncio.create_task(lookup.answer())
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    release.set()

    assert await lookup.answer()


def test_a_loop_that_is_gone_is_no_trouble() -> None:
    release, done = threading.Event(), threading.Event()

    def ask(host: str, port: int) -> Sequence[Address]:
        release.wait(10)
        return loopback(host, port)

    resolver = Resolver(ask=ask)

    async def leave() -> None:
        waiting = asyncio.create_task(resolver.begin("slow.test", 80).answer())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    async def come_back() -> None:
        assert await resolver.begin("fast.test", 80).answer()
        done.set()

    asyncio.run(leave())
    release.set()
    asyncio.run(come_back())

    assert done.is_set()


async def test_threads_end_when_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IDLE_SECONDS", 0.02)
    resolver = Resolver(ask=loopback)
    await resolver.begin("one.test", 80).answer()
    async with asyncio.timeout(5):
        while resolver._threads:
            await asyncio.sleep(0.005)

    assert await resolver.begin("two.test", 80).answer()


async def test_without_a_thread_to_be_had_the_question_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    resolver = Resolver(ask=loopback)
    with monkeypatch.context() as starved:
        starved.setattr(threading, "Thread", NoThread)
        waiting = resolver.begin("one.test", 80)
    another = resolver.begin("two.test", 80)

    assert await another.answer()
    assert await waiting.answer(), "the next thread takes what had to wait"


def test_a_failed_question_is_believed_only_where_a_descriptor_can_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_name(*_args: object, **_named: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def no_descriptor(*_args: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    with pytest.raises(socket.gaierror):
        ask_system("gone.test", 80)

    monkeypatch.setattr(os, "open", no_descriptor)
    with pytest.raises(OSError, match="Too many open files") as caught:
        ask_system("gone.test", 80)
    assert not isinstance(caught.value, socket.gaierror)


@pytest.mark.parametrize(
    ("error", "answered"),
    [
        pytest.param(socket.gaierror(socket.EAI_NONAME, ""), True, id="no such name"),
        pytest.param(socket.gaierror(socket.EAI_NODATA, ""), True, id="no address"),
        pytest.param(socket.gaierror(socket.EAI_AGAIN, ""), False, id="no server answered"),
        pytest.param(socket.gaierror(socket.EAI_FAIL, ""), False, id="a server failed"),
        pytest.param(OSError(errno.ECONNREFUSED, ""), False, id="an error of the system"),
        pytest.param(TimeoutError(), False, id="too late"),
    ],
)
def test_only_a_resolver_that_says_no_has_answered(error: OSError, answered: bool) -> None:
    assert is_answer(error) is answered


async def test_the_names_that_were_answered_last_are_known_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ask(host: str, port: int) -> Sequence[Address]:
        if host.startswith("gone"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if host.startswith("mute"):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return loopback(host, port)

    monkeypatch.setattr(module, "_KNOWN", 4)
    resolver = Resolver(threads=1, ask=ask)
    for name in ("mute.test", "one.test", "gone.test", "two.test", "one.test"):
        await asyncio.gather(resolver.begin(name, 80).answer(), return_exceptions=True)
    # the thread takes note after it has woken those who wait
    await until(lambda: resolver.known(8) == ["one.test", "two.test", "gone.test", "mute.test"])
    for name in ("three.test", "four.test", "mute-too.test"):
        await asyncio.gather(resolver.begin(name, 80).answer(), return_exceptions=True)

    assert resolver.known(8) == ["four.test", "three.test", "one.test", "two.test"]
    assert resolver.known(1) == ["four.test"]

    await resolver.begin("elsewhere.test", 80, remember=False).answer()
    assert "elsewhere.test" not in resolver.known(8)


def test_what_the_machine_knows_by_itself_is_told_from_what_a_resolver_knows(
    tmp_path: Path,
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n10.0.0.1\tShop.test shop  # was old.test\n\n")
    names = ["localhost", "a.localhost", "shop.test.", "SHOP", "old.test", socket.gethostname()]

    assert without_own_names(names, hosts) == ["old.test"]
    assert without_own_names(["shop.test", "localhost"], tmp_path / "none") == ["shop.test"]
