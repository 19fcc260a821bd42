"""Cases F and the faults of reliability A and B: phases, exact timeouts, one request per probe."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.observation import Code, Phase
from monitor.names import Resolver
from tests.support.http_probe import make_probe, observe, probing
from tests.support.servers import (
    HOST,
    answers_page,
    page,
    say_nothing,
    serve_pages,
    serve_script,
    unused_port,
)
from tests.support.verdicts import judge_health, metrics_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.model.observation import Observation
    from monitor.names import Address
    from tests.support.authority import Authority


def assert_phases_fit(seen: Observation) -> None:
    assert sum(took.total_seconds() for took in seen.phases.values()) <= (
        seen.duration.total_seconds()
    )


async def test_52_a_tls_server_takes_all_five_phases(authority: Authority) -> None:
    async with serve_pages({"/": page(b"hello")}, tls=authority.context("shop.test")) as server:
        seen = await observe(server.url(host="shop.test"), tls={"ca_file": str(authority.file)})

    assert list(seen.phases) == list(Phase)
    assert all(took.total_seconds() > 0 for took in seen.phases.values())
    assert_phases_fit(seen)
    series = metrics_of(seen)
    assert {name for name in series if name.startswith("probe_http_duration_seconds")} == {
        f'probe_http_duration_seconds{{phase="{phase}"}}' for phase in Phase
    }


async def test_a_plain_server_has_no_tls_phase() -> None:
    async with serve_pages({"/": page()}) as server:
        seen = await observe(server.url())

    assert Phase.TLS not in seen.phases
    assert seen.tls_version is None
    assert seen.certificate is None


async def test_54_a_name_that_does_not_resolve_spends_time_in_resolve_alone() -> None:
    seen = await observe("http://nowhere.invalid/")

    assert seen.fault is not None
    assert seen.fault.code is Code.DNS
    assert seen.fault.message.startswith("nowhere.invalid did not resolve: name or service")
    assert not seen.fault.own
    assert list(seen.phases) == [Phase.RESOLVE]
    assert seen.ip_family is None
    assert metrics_of(seen)["probe_dns_lookup_time_seconds"] > 0
    assert judge_health(seen).reasons[0].code is Code.DNS


async def test_55_time_before_the_headers_and_before_the_body_is_told_apart() -> None:
    async def slowly(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        await asyncio.sleep(0.3)
        writer.write(b"hi")

    async with serve_script(slowly) as server:
        seen = await observe(server.url())

    assert seen.phases[Phase.PROCESSING].total_seconds() >= 0.29
    assert seen.phases[Phase.TRANSFER].total_seconds() >= 0.29
    assert_phases_fit(seen)


async def test_the_timeout_is_exact_above_five_seconds() -> None:
    async with serve_script(say_nothing) as server:
        began = time.monotonic()
        seen = await observe(server.url(), timeout=5.1)
        took = time.monotonic() - began

    assert seen.fault is not None
    assert seen.fault.code is Code.TIMEOUT
    assert seen.fault.message == f"{HOST}:{server.port} did not answer within 5.1s"
    assert 5.1 <= took < 5.5


async def test_a1_a_closed_port_refuses() -> None:
    port = unused_port()
    seen = await observe(f"http://{HOST}:{port}/")

    assert seen.fault is not None
    assert seen.fault.code is Code.CONNECTION_REFUSED
    assert seen.fault.message == f"{HOST}:{port} refused the connection"
    assert list(seen.phases) == [Phase.RESOLVE, Phase.CONNECT]
    assert (seen.address, seen.ip_family) == (None, None)
    assert seen.duration.total_seconds() < 1
    assert judge_health(seen).outcome == "fail"


async def test_a2_a_host_that_does_not_accept_is_a_timeout_while_connecting() -> None:
    with socket.socket() as full, socket.socket() as waiting, socket.socket() as another:
        full.bind((HOST, 0))
        full.listen(0)
        for taker in (waiting, another):
            taker.setblocking(False)
            taker.connect_ex(full.getsockname())
        seen = await observe(f"http://{HOST}:{full.getsockname()[1]}/", timeout=0.3)

    assert seen.fault is not None
    assert seen.fault.code is Code.TIMEOUT
    assert "did not accept the connection within 300ms" in seen.fault.message
    assert list(seen.phases) == [Phase.RESOLVE, Phase.CONNECT]
    assert 0.3 <= seen.duration.total_seconds() < 0.8


async def test_a3_a_hundred_targets_that_hang_do_not_delay_a_healthy_one() -> None:
    async with serve_script(say_nothing) as silent, serve_pages({"/": page()}) as healthy:
        probes = [make_probe(silent.url(f"/{number}"), timeout=10) for number in range(100)]
        hanging = [asyncio.create_task(probe.observe()) for probe in probes]
        async with asyncio.timeout(5):
            while silent.connections < 100:
                await asyncio.sleep(0.01)
        seen = await observe(healthy.url())
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        for probe in probes:
            await probe.close()

    assert seen.status == 200
    assert seen.duration.total_seconds() < 0.5


async def test_a4_a_slow_drip_ends_at_the_deadline() -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serve_script(drip) as server:
        seen = await observe(server.url(), timeout=0.4)

    assert seen.fault is not None
    assert seen.fault.code is Code.TIMEOUT
    assert 0.4 <= seen.duration.total_seconds() < 0.9


async def test_a9_endless_provisional_answers_end_at_the_deadline() -> None:
    async def wait_on(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.005)

    async with serve_script(wait_on) as server:
        seen = await observe(server.url(), timeout=0.4)

    assert seen.fault is not None
    assert seen.fault.code in (Code.TIMEOUT, Code.BAD_RESPONSE)
    assert seen.duration.total_seconds() < 0.9


async def test_a_cancelled_probe_leaves_nothing_open() -> None:
    async with serve_script(say_nothing) as server, probing(server.url()) as probe:
        task = asyncio.create_task(probe.observe())
        async with asyncio.timeout(5):
            while not server.heads:
                await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task
        gc.collect()  # a socket left open warns here, and warnings are errors


async def test_b18_names_that_hang_delay_no_other_and_are_no_fault_of_a_name_never_asked() -> None:
    release = threading.Event()

    def ask(host: str, port: int) -> Sequence[Address]:
        if host.startswith("hangs"):
            release.wait(10)
        return socket.getaddrinfo(HOST, port, type=socket.SOCK_STREAM)

    resolver = Resolver(threads=5, per_name=2, ask=ask)
    try:
        async with serve_pages({"/": page()}) as server:
            hanging = [
                asyncio.create_task(
                    observe(server.url(host="hangs.test"), timeout=0.6, names=resolver)
                )
                for _ in range(12)
            ]
            await asyncio.sleep(0.05)
            healthy = await observe(server.url(host="fine.test"), names=resolver)
            more = [
                asyncio.create_task(
                    observe(server.url(host=f"hangs-{n}.test"), timeout=0.5, names=resolver)
                )
                for n in range(3)
            ]
            await asyncio.sleep(0.05)
            never_asked = await observe(server.url(host="last.test"), timeout=0.3, names=resolver)
            stuck = [await task for task in hanging + more]
    finally:
        release.set()

    assert healthy.status == 200
    assert healthy.duration.total_seconds() < 0.4
    assert {seen.fault.code for seen in stuck if seen.fault} == {Code.TIMEOUT}
    assert not any(seen.fault.own for seen in stuck if seen.fault)
    assert "hangs.test did not resolve within 600ms" in str(stuck[0].fault)
    assert never_asked.fault is not None
    assert never_asked.fault.own
    assert "no resolver thread was free within 300ms" in never_asked.fault.message


@pytest.mark.parametrize(
    ("number", "words"),
    [
        pytest.param(socket.EAI_NONAME, "name or service not known", id="NXDOMAIN"),
        pytest.param(socket.EAI_AGAIN, "temporary failure in name resolution", id="SERVFAIL"),
        pytest.param(socket.EAI_NODATA, "no address associated", id="no address"),
    ],
)
async def test_b19_a_resolver_that_says_no_fails_that_target_alone(number: int, words: str) -> None:
    def ask(host: str, port: int) -> Sequence[Address]:
        if host == "gone.test":
            raise socket.gaierror(number, MESSAGES[number])
        return socket.getaddrinfo(HOST, port, type=socket.SOCK_STREAM)

    resolver = Resolver(ask=ask)
    async with serve_pages({"/": page()}) as server:
        gone = await observe(server.url(host="gone.test"), names=resolver)
        there = await observe(server.url(host="there.test"), names=resolver)

    assert gone.fault is not None
    assert gone.fault.code is Code.DNS
    assert words in gone.fault.message
    assert there.status == 200


MESSAGES = {
    socket.EAI_NONAME: "Name or service not known",
    socket.EAI_AGAIN: "Temporary failure in name resolution",
    socket.EAI_NODATA: "No address associated with hostname",
}


async def test_b20_a_name_that_moves_is_followed_by_the_next_probe() -> None:
    place = HOST

    def ask(_host: str, port: int) -> Sequence[Address]:
        return socket.getaddrinfo(place, port, type=socket.SOCK_STREAM)

    async with serve_pages({"/": page()}) as server:
        url = server.url(host="moves.test")
        async with probing(url, names=Resolver(ask=ask)) as probe:
            before = await probe.observe()
            place = "127.0.0.9"
            after = await probe.observe()

    assert before.status == 200
    assert after.fault is not None
    assert after.fault.code is Code.CONNECTION_REFUSED


async def test_b22_a_broken_address_of_one_family_does_not_hide_the_other() -> None:
    def ask(_host: str, port: int) -> Sequence[Address]:
        return [
            *socket.getaddrinfo("::1", port, type=socket.SOCK_STREAM),
            *socket.getaddrinfo(HOST, port, type=socket.SOCK_STREAM),
        ]

    async with serve_pages({"/": page()}) as server:
        seen = await observe(server.url(host="both.test"), names=Resolver(ask=ask))

    assert seen.status == 200
    assert seen.ip_family == 4
    assert seen.address == HOST
    assert metrics_of(seen)["probe_ip_protocol"] == 4


async def test_all_addresses_refuse() -> None:
    port = unused_port()

    def ask(_host: str, port: int) -> Sequence[Address]:
        return [
            *socket.getaddrinfo("127.0.0.8", port, type=socket.SOCK_STREAM),
            *socket.getaddrinfo(HOST, port, type=socket.SOCK_STREAM),
        ]

    seen = await observe(f"http://both.test:{port}/", names=Resolver(ask=ask))

    assert seen.fault is not None
    assert seen.fault.code is Code.CONNECTION_REFUSED


async def test_each_probe_is_a_new_connection() -> None:
    async with serve_script(answers_page(200, b"hi")) as server, probing(server.url()) as probe:
        for _ in range(3):
            assert (await probe.observe()).status == 200

    assert server.connections == 3
    assert all(b"Connection: close\r\n" in head for head in server.heads)


async def test_a_loop_that_stood_still_past_the_timeout_is_our_own_fault() -> None:
    async with serve_script(say_nothing) as server:
        task = asyncio.create_task(observe(server.url(), timeout=0.1))
        async with asyncio.timeout(5):
            while not server.heads:
                await asyncio.sleep(0.005)
        time.sleep(1.3)
        seen = await task

    assert seen.fault is not None
    assert seen.fault.own
    assert "the monitor itself was held up" in seen.fault.message
