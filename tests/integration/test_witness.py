"""Witnesses over real sockets: one answer suffices, quickly, and once for many who ask."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import uvloop

from monitor import witness
from monitor.core.model.observation import Code, Fault
from monitor.core.model.witness import Witness
from monitor.witness import Witnesses
from tests.support.authority import Authority
from tests.support.http_probe import ask_loopback
from tests.support.logs import capture_logs
from tests.support.servers import (
    HOST,
    answers,
    answers_page,
    page,
    say_nothing,
    serve_pages,
    serve_script,
    unused_port,
)
from tests.support.shortage import descriptors_left

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from monitor.names import Address, Ask

REFUSED = Fault(code=Code.CONNECTION_REFUSED, message="shop.test refused the connection")
NO_SUCH_NAME = Fault(code=Code.DNS, message="shop.test did not resolve")
SILENCE = replace(NO_SUCH_NAME, unanswered="shop.test")


class Asking(Witnesses):
    """Witnesses, and the question that most tests have."""

    async def confirm(
        self, fault: Fault = REFUSED, *, witnessed: bool = True, since: float | None = None
    ) -> bool:
        """Say whether the fault stays the target's."""
        found = await self.attribute(fault, witnessed=witnessed, since=since)
        assert found.own or found == fault

        return not found.own


@asynccontextmanager
async def asking(
    *specs: Witness, ask: Ask = ask_loopback, known: Sequence[str] = ()
) -> AsyncIterator[Asking]:
    witnesses = Asking(specs, ask=ask, known=lambda most: known[:most])
    try:
        yield witnesses
    finally:
        await witnesses.close()


def dead() -> Witness:
    return Witness(tcp=f"{HOST}:{unused_port()}")


async def test_without_witnesses_there_is_no_doubt() -> None:
    async with asking() as witnesses:
        assert await witnesses.confirm()
        assert await witnesses.confirm(NO_SUCH_NAME)
        assert await witnesses.confirm(SILENCE)


async def test_no_answer_from_any_is_a_cut_off_monitor() -> None:
    async with asking(dead(), dead(), Witness(url=f"http://{HOST}:{unused_port()}/")) as witnesses:
        assert not await witnesses.confirm()


async def test_what_began_before_they_answer_again_may_have_been_lost_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(witness, "SHARED", witness.SHARED * 0)
    monkeypatch.setattr(witness, "FRESH", witness.FRESH * 0)
    loop = asyncio.get_running_loop()
    with socket.socket() as server:
        server.bind((HOST, 0))
        async with asking(Witness(tcp=f"{HOST}:{server.getsockname()[1]}")) as witnesses:
            first = await witnesses.confirm(since=loop.time())
            began = loop.time()
            server.listen()
            again = await witnesses.confirm(since=began)
            later = await witnesses.confirm(since=loop.time())

    assert (first, again, later) == (False, False, True)


async def test_one_answer_suffices() -> None:
    async with (
        serve_script(say_nothing) as server,
        asking(dead(), Witness(tcp=f"{HOST}:{server.port}"), dead()) as witnesses,
    ):
        assert await witnesses.confirm()


@pytest.mark.parametrize(
    ("raw", "confirmed"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", True, id="200"),
        pytest.param(b"HTTP/1.1 503 Busy\r\n\r\n", True, id="503 is an answer"),
        pytest.param(
            b"HTTP/1.0 302 Go\r\nLocation: /x\r\n\r\n", True, id="a redirect is an answer"
        ),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", False, id="another protocol is none"),
        pytest.param(b"", False, id="closing is none"),
    ],
)
async def test_any_http_answer_counts(raw: bytes, confirmed: bool) -> None:
    async with (
        serve_script(answers(raw)) as server,
        asking(Witness(url=server.url("/up?x=1"))) as witnesses,
    ):
        assert await witnesses.confirm() is confirmed

    assert server.heads[0].startswith(b"HEAD /up?x=1 HTTP/1.1\r\n")
    assert f"Host: {HOST}:{server.port}\r\n".encode() in server.heads[0]


async def test_an_https_witness_has_to_prove_who_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    context = authority.context("witness.test")
    witness._trust.cache_clear()
    async with serve_pages({"/": page()}, tls=context) as server:
        spec = Witness(url=server.url(host="witness.test"))
        async with asking(spec) as witnesses:
            untrusted = await witnesses.confirm()

        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        witness._trust.cache_clear()
        async with asking(spec) as witnesses:
            trusted = await witnesses.confirm()
    witness._trust.cache_clear()

    assert (untrusted, trusted) == (False, True)


async def test_a_name_is_resolved_without_the_loop_waiting() -> None:
    async with (
        serve_script(say_nothing, reads_head=False) as server,
        asking(Witness(tcp=f"witness.test:{server.port}")) as witnesses,
    ):
        assert await witnesses.confirm()
        assert await witnesses.confirm(NO_SUCH_NAME)


async def test_the_system_resolves_names_by_default() -> None:
    async with serve_script(say_nothing, reads_head=False) as server:
        witnesses = Asking((Witness(tcp=f"localhost:{server.port}"),))
        confirmed = await witnesses.confirm()
        await witnesses.close()

    assert confirmed


async def test_a_name_that_does_not_resolve_while_an_address_answers_is_the_resolver_s_fault() -> (
    None
):
    async with (
        serve_script(say_nothing, reads_head=False) as server,
        asking(
            Witness(tcp=f"{HOST}:{server.port}"), Witness(url="http://nowhere.invalid/")
        ) as witnesses,
    ):
        assert await witnesses.confirm()
        assert not await witnesses.confirm(NO_SUCH_NAME)


async def test_a_witness_that_resolved_and_refuses_shows_that_names_work() -> None:
    async with (
        serve_script(say_nothing, reads_head=False) as server,
        asking(
            Witness(tcp=f"{HOST}:{server.port}"), Witness(tcp=f"down.test:{unused_port()}")
        ) as witnesses,
    ):
        assert await witnesses.confirm(NO_SUCH_NAME)


def ask_by_kind(host: str, port: int) -> Sequence[Address]:
    """Resolve names by what they begin with."""
    match host.partition(".")[0]:
        case "up":
            return socket.getaddrinfo(HOST, port, type=socket.SOCK_STREAM)
        case "gone":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        case _:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.mark.parametrize(
    ("fault", "witnessing", "known", "stays"),
    [
        pytest.param(SILENCE, ["address"], [], False, id="silence, and nothing to compare with"),
        pytest.param(SILENCE, ["address"], ["mute.test", "up.test"], True, id="another resolves"),
        pytest.param(SILENCE, ["address"], ["gone.test"], True, id="another is known not to exist"),
        pytest.param(SILENCE, ["address"], ["localhost"], False, id="localhost needs no resolver"),
        pytest.param(
            SILENCE,
            ["address"],
            [f"{number}.localhost" for number in range(20)] + ["up.test"],
            True,
            id="however many such names there are",
        ),
        pytest.param(SILENCE, ["address", "mute.test"], ["up.test"], False, id="no witness does"),
        pytest.param(SILENCE, ["dead"], ["up.test"], False, id="cut off, with an old answer"),
        pytest.param(SILENCE, [], ["mute.test"], False, id="no witnesses, and no name at all"),
        pytest.param(NO_SUCH_NAME, ["address", "gone.test"], [], False, id="nor a witness's name"),
        pytest.param(NO_SUCH_NAME, ["address", "up.test"], [], True, id="but a witness's name"),
    ],
)
async def test_whose_fault_it_is_that_a_name_did_not_resolve(
    fault: Fault, witnessing: list[str], known: list[str], stays: bool
) -> None:
    async with serve_script(say_nothing, reads_head=False) as server:
        places = {"address": f"{HOST}:{server.port}", "dead": f"{HOST}:{unused_port()}"}
        specs = [Witness(tcp=places.get(one, f"{one}:{server.port}")) for one in witnessing]
        async with asking(*specs, ask=ask_by_kind, known=known) as witnesses:
            assert await witnesses.confirm(fault) is stays


@pytest.mark.parametrize(
    ("known", "stays"),
    [
        pytest.param([], True, id="nothing to compare with"),
        pytest.param(["up.test"], True, id="another name resolves"),
        pytest.param(["mute.test"], False, id="no name resolves"),
    ],
)
async def test_where_witnesses_say_nothing_of_the_way_other_names_are_asked_all_the_same(
    known: list[str], stays: bool
) -> None:
    async with asking(dead(), ask=ask_by_kind, known=known) as witnesses:
        assert await witnesses.confirm(SILENCE, witnessed=False) is stays
        assert await witnesses.confirm(REFUSED, witnessed=False)
        assert await witnesses.confirm(NO_SUCH_NAME, witnessed=False)


async def test_where_no_thread_can_be_had_the_resolver_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def no_thread(*_args: object) -> None:
        raise RuntimeError("can't start new thread")

    async with (
        serve_script(say_nothing, reads_head=False) as server,
        asking(
            Witness(tcp=f"{HOST}:{server.port}"), ask=ask_by_kind, known=["up.test"]
        ) as witnesses,
    ):
        monkeypatch.setattr(asyncio, "to_thread", no_thread)
        assert not await witnesses.confirm(SILENCE)


async def test_our_own_fault_says_what_is_suspected() -> None:
    async with (
        serve_script(say_nothing, reads_head=False) as server,
        asking(Witness(tcp=f"{HOST}:{server.port}"), ask=ask_by_kind) as there,
        asking(dead()) as gone,
    ):
        resolver = await there.attribute(SILENCE)
        network = await gone.attribute(SILENCE)

    assert resolver.code is network.code is Code.WITNESS
    assert "the resolver of this machine may be down (shop.test did not resolve)" in (
        resolver.message
    )
    assert "the monitor may be cut off (shop.test did not resolve)" in network.message


async def test_silent_witnesses_are_given_up_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "PATIENCE", witness.PATIENCE / 5)
    async with serve_script(say_nothing) as server:
        specs = [Witness(url=server.url(f"/{number}")) for number in range(5)]
        async with asking(*specs) as witnesses:
            began = time.monotonic()
            confirmed = await witnesses.confirm()
            took = time.monotonic() - began

    assert not confirmed
    assert server.connections == 5
    assert 0.35 < took < 0.8


def test_they_have_two_seconds_and_are_believed_for_five() -> None:
    assert witness.PATIENCE.total_seconds() == 2
    assert witness.SHARED.total_seconds() == 5


async def test_a_resolver_that_hangs_does_not_hold_up_the_answer() -> None:
    release = threading.Event()

    def ask(host: str, port: int) -> Sequence[Address]:
        if host == "hangs.test":
            release.wait(10)
        return socket.getaddrinfo(HOST, port, type=socket.SOCK_STREAM)

    async with serve_script(answers_page()) as server:
        specs = Witness(tcp="hangs.test:80"), Witness(url=server.url(host="fine.test"))
        async with asking(*specs, ask=ask) as witnesses:
            began = time.monotonic()
            confirmed = await witnesses.confirm()
            took = time.monotonic() - began
        release.set()

    assert confirmed
    assert took < 1


async def test_many_who_ask_at_once_share_one_round_and_so_do_those_of_the_next_seconds() -> None:
    async with (
        serve_script(answers_page()) as server,
        asking(Witness(url=server.url())) as witnesses,
    ):
        confirmed = await asyncio.gather(*(witnesses.confirm() for _ in range(50)))
        later = await witnesses.confirm()

    assert all(confirmed)
    assert later
    assert server.connections == 1


async def test_an_answer_that_is_too_old_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(witness, "SHARED", witness.SHARED * 0)
    monkeypatch.setattr(witness, "FRESH", witness.FRESH * 0)
    async with serve_script(answers_page()) as server:
        async with asking(Witness(url=server.url())) as witnesses:
            before = await witnesses.confirm()
            again = await witnesses.confirm()
        connections = server.connections
        # a dead network is noticed, too
        async with asking(Witness(tcp=f"{HOST}:{unused_port()}")) as witnesses:
            assert not await witnesses.confirm()

    assert before
    assert again
    assert connections == 2


async def test_an_answer_from_before_a_failure_began_is_soon_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(witness, "FRESH", witness.FRESH * 0)
    now = asyncio.get_running_loop().time
    began = now()
    async with serve_script(answers_page()) as server, asking(Witness(url=server.url())) as asked:
        assert await asked.confirm(since=began)
        assert await asked.confirm(since=began)
        shared = server.connections
        assert await asked.confirm(since=now())

    assert shared == 1
    assert server.connections == 2


async def test_silence_is_logged_when_it_begins_and_when_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(witness, "SHARED", witness.SHARED * 0)
    monkeypatch.setattr(witness, "FRESH", witness.FRESH * 0)
    port = unused_port()
    async with asking(Witness(tcp=f"{HOST}:{port}")) as witnesses:
        with capture_logs() as logged:
            for _ in range(3):
                await witnesses.confirm()
            with socket.create_server((HOST, port)):
                for _ in range(3):
                    await witnesses.confirm()

    turns = [line["event"] for line in logged if line["log_level"] != "debug"]
    assert turns == ["no_witness_answers", "witnesses_answer_again"]


async def test_one_who_stops_waiting_does_not_end_the_round_of_the_others() -> None:
    go_on = asyncio.Event()

    async def late(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    async with serve_script(late) as server, asking(Witness(url=server.url())) as witnesses:
        impatient = asyncio.create_task(witnesses.confirm())
        patient = asyncio.create_task(witnesses.confirm())
        async with asyncio.timeout(5):
            while not server.heads:
                await asyncio.sleep(0.005)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        go_on.set()

        assert await patient
        assert server.connections == 1


async def test_closing_ends_what_is_being_asked() -> None:
    async with serve_script(say_nothing) as server:
        witnesses = Asking((Witness(url=server.url()),))
        waiting = asyncio.create_task(witnesses.confirm())
        async with asyncio.timeout(5):
            while not server.heads:
                await asyncio.sleep(0.005)
        await witnesses.close()

        assert not await waiting


@pytest.mark.parametrize(
    ("spec", "host", "port"),
    [
        pytest.param(Witness(tcp="1.1.1.1:53"), "1.1.1.1", 53, id="an address"),
        pytest.param(Witness(tcp="[2606:4700::1111]:53"), "2606:4700::1111", 53, id="IPv6"),
        pytest.param(Witness(tcp="dns.example:853"), "dns.example", 853, id="a name"),
        pytest.param(Witness(url="https://www.example.org/"), "www.example.org", 443, id="https"),
        pytest.param(Witness(url="http://www.example.org"), "www.example.org", 80, id="http"),
        pytest.param(Witness(url="http://[::1]:8080/x"), "::1", 8080, id="a port"),
    ],
)
def test_where_a_witness_stands(spec: Witness, host: str, port: int) -> None:
    stand = witness._find(spec)

    assert (stand.host, stand.port) == (host, port)


def test_uvloop_serves_as_well() -> None:
    async def story() -> tuple[bool, bool]:
        async with (
            serve_script(answers_page()) as server,
            asking(Witness(url=server.url())) as there,
            asking(dead()) as gone,
        ):
            return await there.confirm(), await gone.confirm()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(story()) == (True, False)


async def test_an_answer_of_a_target_ends_the_silence_of_the_witnesses_in_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each time of being cut off is logged with its end, though nobody asks the witnesses again."""
    monkeypatch.setattr(witness, "FRESH", witness.FRESH * 0)
    with capture_logs() as lines:
        async with asking(Witness(tcp=f"{HOST}:{unused_port()}")) as witnesses:
            for _ in range(2):
                assert not await witnesses.confirm()
                witnesses.hear_of_network()
                witnesses.hear_of_network()

    turns = [line["event"] for line in lines if line["log_level"] != "debug"]
    assert turns == ["no_witness_answers", "witnesses_answer_again"] * 2


def test_a_trust_store_that_could_not_be_opened_is_read_again() -> None:
    witness._trust.cache_clear()

    with descriptors_left(0), pytest.raises(OSError, match="Too many open files"):
        witness._trust()

    assert witness._trust().verify_mode is ssl.CERT_REQUIRED
