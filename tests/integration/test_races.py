"""A race of several addresses whose time is up at its very end: it ends nevertheless."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from monitor import outbound
from monitor.core.model.observation import Code
from monitor.names import Address, Resolver, connect_any
from monitor.outbound import NoAnswer
from tests.support.http_probe import make_probe

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

HOLES: Final = 3
ENDS: Final = HOLES * 0.25
"""When the last address is begun, which connects at once and then says nothing."""

TIMES: Final = [ENDS + 0.0005 + 0.00015 * number for number in range(80)]
"""Some of these fall into the moment in which the race ends those who lost."""


@pytest.fixture
def addresses() -> Iterator[list[Address]]:
    """Give addresses that take no connection, and at last one that takes all and is silent."""
    with ExitStack() as stack:
        silent = stack.enter_context(socket.socket())
        silent.bind(("127.0.1.99", 0))
        silent.listen(1000)
        port = silent.getsockname()[1]
        hosts = [f"127.0.1.{number + 1}" for number in range(HOLES)]
        for host in hosts:
            hole = stack.enter_context(socket.socket())
            hole.bind((host, port))
            hole.listen(0)
            for _ in range(3):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex((host, port))

        yield [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))
            for host in (*hosts, "127.0.1.99")
        ]


async def test_a_probe_ends_whenever_its_time_is_up(addresses: list[Address]) -> None:
    port = int(addresses[0][4][1])
    resolver = Resolver(ask=lambda _host, _port: addresses)

    async def observe(timeout: float) -> Code | None:
        probe = make_probe(f"http://slow.test:{port}/", timeout=timeout, names=resolver)
        try:
            fault = (await probe.observe()).fault
        finally:
            await probe.close()
        return fault.code if fault else None

    assert set(await all_of(observe)) == {Code.TIMEOUT}


async def test_an_outgoing_request_ends_whenever_its_time_is_up(
    addresses: list[Address], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(ask=lambda _host, _port: addresses)
    monkeypatch.setattr(outbound, "_resolver", lambda: resolver)

    async def send(timeout: float) -> str:
        url = f"http://hook.test:{int(addresses[0][4][1])}/"
        with pytest.raises(NoAnswer) as caught:
            await outbound.post(url, body=b"x", headers={}, timeout=timedelta(seconds=timeout))
        return str(caught.value.why)

    assert set(await all_of(send)) == {"timeout"}


async def test_a_connection_that_nobody_waits_for_is_closed(addresses: list[Address]) -> None:
    async def race(timeout: float) -> bool:
        try:
            async with asyncio.timeout(timeout):
                (await connect_any(addresses)).close()
                await asyncio.Event().wait()
        except TimeoutError:
            return True
        return False

    assert all(await all_of(race))


async def all_of(act: Callable[[float], Coroutine[Any, Any, Any]]) -> list[Any]:
    """Do it with each of the times, all at once; whatever outlives its time fails the test."""
    async with asyncio.timeout(30):
        return await asyncio.gather(*(act(time) for time in TIMES))
