"""What every kind of probe promises, for each kind in the table."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from monitor.config.translate import keys_of
from monitor.core.model.observation import Code
from monitor.core.model.verdict import Outcome
from monitor.probes import KINDS
from monitor.probes._net.options import Nameserver
from tests.support.authority import Authority
from tests.support.databases import serve_postgresql
from tests.support.grpc_server import serve_grpc
from tests.support.http_probe import make_context
from tests.support.nameservers import answering, serve_dns
from tests.support.probing import judge_health
from tests.support.servers import (
    answers_page,
    hang_up,
    reset,
    say_nothing,
    serve_pages,
    serve_script,
    unused_port,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from monitor.probes.probe import Probe


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What is known of a kind here: the options that lead to a port, and who answers there well.

    A kind that asks no port has no `serve`. `secret` is the secret in the options given here, empty
    where none can be part of them. `needs` are the programs by which it is served.
    """

    options: Callable[[int], object]
    serve: Callable[[], AbstractAsyncContextManager[int]] | None = None
    secret: str = "hunter22"
    needs: tuple[str, ...] = ()


@asynccontextmanager
async def serve_page() -> AsyncIterator[int]:
    async with serve_script(answers_page()) as server:
        yield server.port


@asynccontextmanager
async def serve_metrics() -> AsyncIterator[int]:
    async with serve_script(answers_page(200, b"up 1\n")) as server:
        yield server.port


@asynccontextmanager
async def serve_name() -> AsyncIterator[int]:
    async with serve_dns(lambda query, _: answering(query, "shop.test. A 192.0.2.1")) as server:
        yield server.port


@asynccontextmanager
async def serve_health() -> AsyncIterator[int]:
    with serve_grpc() as server:
        yield server.port


@asynccontextmanager
async def serve_replies() -> AsyncIterator[int]:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hunter22\r\n")
        writer.write(b"+OK\r\n")
        await reader.readuntil(b"PING\r\n")
        writer.write(b"+PONG\r\n")

    async with serve_script(reply, reads_head=False) as server:
        yield server.port


@asynccontextmanager
async def serve_database() -> AsyncIterator[int]:
    with serve_postgresql() as server:
        yield server.port


@asynccontextmanager
async def shake_hands() -> AsyncIterator[int]:
    with TemporaryDirectory() as folder:
        context = Authority(Path(folder)).context()
    async with serve_script(say_nothing, tls=context, reads_head=False) as server:
        yield server.port


@asynccontextmanager
async def serve_socket() -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(f"heard {message.data}")
        return socket

    async with serve_pages({"/": answer}) as server:
        yield server.port


@asynccontextmanager
async def serve_greeting() -> AsyncIterator[int]:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        await reader.readuntil(b"PASS hunter22\r\n")
        writer.write(b"230 welcome\r\n")

    async with serve_script(greet, reads_head=False) as server:
        yield server.port


LONG_KEY = "hunter22" * 3
CONTRACTS: dict[str, Contract] = {
    "heartbeat": Contract(  # a key is longer
        options=lambda _port: {"key": LONG_KEY, "period": "1d"}, secret=LONG_KEY
    ),
    "command": Contract(options=lambda _port: {"run": ["/bin/cat"], "env": {"TOKEN": "hunter22"}}),
    "browser": Contract(  # tests/integration/probes/test_browser.py has one that is started once
        options=lambda port: {
            "url": f"http://ana:hunter22@127.0.0.1:{port}/",
            "executable": "/bin/true",
        }
    ),
    "url": Contract(
        options=lambda port: {"url": f"http://ana:hunter22@127.0.0.1:{port}/"}, serve=serve_page
    ),
    "grpc": Contract(
        options=lambda port: {
            "address": f"127.0.0.1:{port}",
            "metadata": {"authorization": "hunter22"},
        },
        serve=serve_health,
    ),
    "metrics": Contract(
        options=lambda port: {
            "url": f"http://127.0.0.1:{port}/metrics",
            "series": "up",
            "request": {"auth": {"bearer": "hunter22"}},
        },
        serve=serve_metrics,
    ),
    "dns": Contract(
        options=lambda port: {
            "server": f"127.0.0.1:{port}",
            "name": "shop.test",
            "transport": "tcp",
        },
        serve=serve_name,
        secret="",
    ),
    "icmp": Contract(options=lambda _port: "127.0.0.1", secret=""),
    "journey": Contract(
        options=lambda port: [
            {
                "name": "look",
                "url": f"http://127.0.0.1:{port}/",
                "request": {"auth": {"bearer": "hunter22"}},
            }
        ],
        serve=serve_page,
    ),
    "redis": Contract(
        options=lambda port: {"address": f"127.0.0.1:{port}", "password": "hunter22"},
        serve=serve_replies,
    ),
    "sql": Contract(
        options=lambda port: {
            "url": f"postgresql://ana:hunter22@127.0.0.1:{port}/shop",
            "query": "SELECT 1",
        },
        serve=serve_database,
        needs=("pg_ctlcluster", "setpriv"),
    ),
    "tcp": Contract(
        options=lambda port: {
            "address": f"127.0.0.1:{port}",
            "dialogue": [{"expect": "^220", "send": "PASS hunter22\r\n"}, {"expect": "^230"}],
        },
        serve=serve_greeting,
    ),
    "websocket": Contract(
        options=lambda port: {
            "url": f"ws://ana:hunter22@127.0.0.1:{port}/",
            "dialogue": [{"send": "hello"}, {"expect": "hello"}],
        },
        serve=serve_socket,
    ),
    "tls": Contract(
        options=lambda port: {"address": f"127.0.0.1:{port}", "verify": False},
        serve=shake_hands,
        secret="",
    ),
}
every_kind = pytest.mark.parametrize("name", KINDS)
every_kind_of_port = pytest.mark.parametrize(
    "name", [name for name in KINDS if name not in CONTRACTS or CONTRACTS[name].serve]
)


def read(name: str, port: int) -> Any:
    return KINDS[name].options.model_validate(CONTRACTS[name].options(port))


def make(name: str, port: int, *, timeout: float = 5) -> Probe:
    probe: Probe = KINDS[name].make(read(name, port), make_context(timeout))

    return probe


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.needs(*contract.needs))
        for name, contract in CONTRACTS.items()
        if contract.serve
    ],
)
async def test_a_target_that_answers_is_seen(name: str) -> None:
    serve = CONTRACTS[name].serve
    assert serve is not None
    async with serve() as port:
        probe = make(name, port)
        before = datetime.now(UTC)
        seen = await probe.observe()
        await probe.close()

    assert seen.fault is None
    assert before <= seen.at <= datetime.now(UTC)
    assert timedelta() < seen.duration < timedelta(seconds=5)
    assert judge_health(name, seen).outcome is Outcome.PASS
    assert {one.family for one in seen.measures} <= set(KINDS[name].series)


@every_kind_of_port
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(hang_up, id="closes"),
        pytest.param(reset, id="resets"),
        pytest.param(say_nothing, id="says nothing"),
    ],
)
async def test_a_target_that_misbehaves_is_an_observation(name: str, script: Any) -> None:
    async with serve_script(script, reads_head=False) as server:
        probe = make(name, server.port, timeout=0.2)
        began = time.monotonic()
        seen = await probe.observe()
        took = time.monotonic() - began
        await probe.close()

    assert seen.fault is not None
    assert not seen.fault.own
    assert took < 0.7


@every_kind_of_port
async def test_a_closed_port_refuses(name: str) -> None:
    probe = make(name, unused_port())
    seen = await probe.observe()
    await probe.close()

    assert seen.fault is not None
    assert seen.fault.code is Code.CONNECTION_REFUSED


@every_kind_of_port
async def test_a_cancellation_passes(name: str) -> None:
    async with serve_script(say_nothing, reads_head=False) as server:
        probe = make(name, server.port)
        task = asyncio.create_task(probe.observe())
        async with asyncio.timeout(5):
            while not server.connections:
                await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await probe.close()


@every_kind
async def test_closing_twice_or_unused_is_no_trouble(name: str) -> None:
    probe = make(name, unused_port())

    await probe.close()
    await probe.close()


@pytest.mark.parametrize(
    "name", [name for name, kind in KINDS.items() if "resolver" in kind.options.model_fields]
)
async def test_what_asks_a_dns_server_is_loaded_before_anything_is_timed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "monitor.probes._net.nameserver"
    options = read(name, 80).model_copy(update={"resolver": Nameserver(host="127.0.0.1")})
    monkeypatch.delitem(sys.modules, module, raising=False)
    probe = KINDS[name].make(options, make_context())
    await probe.close()

    assert module in sys.modules


@every_kind
def test_what_is_shown_holds_no_secret_and_what_is_secret_is_known(name: str) -> None:
    options = read(name, 80)

    assert options.target
    assert isinstance(options.witnessed, bool)
    assert "hunter22" not in options.target
    assert "hunter22" not in repr(options)
    if secret := CONTRACTS[name].secret:
        assert secret in {one.reveal() for one in options.secrets}


def test_the_table_knows_the_keys_of_each_kind_that_stand_beside_others() -> None:
    taken = {key for name, kind in KINDS.items() if kind.flat for key in keys_of(kind.options)}
    under = {name for name, kind in KINDS.items() if not kind.flat}

    assert set(KINDS.taken) == taken | under
