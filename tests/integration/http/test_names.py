"""Over which family of addresses a target is reached, and which DNS server is asked for them."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rcode
import pytest

from monitor.core.model.observation import Code, Phase
from monitor.core.witnesses import doubts_names
from monitor.names import Resolver
from monitor.probes._net import resolve as module
from monitor.probes._net.options import IpChoice, read_nameserver
from monitor.probes._net.resolve import lacks_ipv6, resolve
from tests.support.http_probe import observe
from tests.support.nameservers import answering, serve_dns, serve_dnsmasq
from tests.support.servers import HOST, answers_page, serve_script, unused_port
from tests.support.verdicts import judge_health

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from monitor.names import Address
    from tests.support.nameservers import Reply

RECORDS = (
    "local=/test/",
    "host-record=both.test,127.0.0.1,::1",
    "host-record=four.test,127.0.0.1",
    "host-record=six.test,::1",
    "cname=www.four.test,four.test",
    *(f"host-record=many.test,127.0.0.{number}" for number in range(1, 60)),
)
"""What dnsmasq knows; 59 addresses do not fit into one packet."""


def ask_both(_host: str, port: int) -> Sequence[Address]:
    return [
        *socket.getaddrinfo("::1", port, type=socket.SOCK_STREAM),
        *socket.getaddrinfo(HOST, port, type=socket.SOCK_STREAM),
    ]


async def find(host: str, choice: IpChoice, *, server: str | None = None) -> list[str]:
    """Resolve, and give the addresses as text."""
    addresses = await resolve(
        host,
        80,
        Resolver(ask=ask_both),
        ip=choice,
        nameserver=read_nameserver(server) if server else None,
    )

    return [str(address[4][0]) for address in addresses]


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        (IpChoice.ANY, ["::1", HOST]),
        (IpChoice.ONLY_4, [HOST]),
        (IpChoice.ONLY_6, ["::1"]),
        (IpChoice.PREFER_4, [HOST]),
        (IpChoice.PREFER_6, ["::1"]),
    ],
)
async def test_a_choice_leaves_its_family(choice: IpChoice, found: list[str]) -> None:
    assert await find("both.test", choice) == found


@pytest.mark.needs("dnsmasq")
async def test_a_preferred_family_falls_back_to_the_other(tmp_path: Path) -> None:
    async with serve_dnsmasq(tmp_path, *RECORDS) as server:
        assert await find("four.test", IpChoice.PREFER_6, server=server) == [HOST]
        assert await find("six.test", IpChoice.PREFER_4, server=server) == ["::1"]
        assert await find("both.test", IpChoice.PREFER_4, server=server) == [HOST]
        assert await find("both.test", IpChoice.PREFER_6, server=server) == ["::1"]
        assert await find("both.test", IpChoice.ANY, server=server) == ["::1", HOST]


@pytest.mark.needs("dnsmasq")
async def test_a_name_without_an_address_of_the_only_family_is_a_fault_of_the_target(
    tmp_path: Path,
) -> None:
    async with serve_dnsmasq(tmp_path, *RECORDS) as server:
        seen = await observe("http://four.test/", ip=6, resolver=server)

    assert seen.fault is not None
    assert not seen.fault.own
    assert seen.fault.code is Code.DNS
    assert seen.fault.message == (
        "four.test has no IPv6 address, and over another it is not to be reached, "
        f"says the DNS server {server}"
    )
    assert judge_health(seen).outcome == "fail"


async def test_an_address_of_the_wrong_family_is_said_to_be_one() -> None:
    seen = await observe("http://localhost:1/", ip=6)

    assert seen.fault is not None
    assert seen.fault.code is Code.DNS
    assert seen.fault.message == (
        "localhost has no IPv6 address, and over another it is not to be reached"
    )


async def test_a_machine_without_ipv6_blames_itself_for_ipv6_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "lacks_ipv6", lambda: True)
    hidden = await observe("http://localhost:1/", ip=6)
    unreachable = await observe(f"http://[::1]:{unused_port()}/", ip=6)
    chosen_by_the_target = await observe(f"http://[::1]:{unused_port()}/")

    for seen in (hidden, unreachable):
        assert seen.fault is not None
        assert seen.fault.own
        assert "this machine has no IPv6" in seen.fault.message
    assert chosen_by_the_target.fault is not None
    assert not chosen_by_the_target.fault.own


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("", True),
        ("00000000000000000000000000000001 01 80 10 80       lo\n", True),
        (
            "00000000000000000000000000000001 01 80 10 80       lo\n"
            "fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n",
            False,
        ),
    ],
    ids=["none", "loopback alone", "link-local"],
)
def test_what_counts_as_ipv6_of_this_machine(text: str, lacks: bool, tmp_path: Path) -> None:
    addresses = tmp_path / "if_inet6"
    addresses.write_text(text)

    assert lacks_ipv6(addresses) is lacks
    assert lacks_ipv6(tmp_path / "nothing")


@pytest.mark.needs("dnsmasq")
async def test_a_named_server_is_asked_instead_of_the_system_s(tmp_path: Path) -> None:
    async with (
        serve_dnsmasq(tmp_path, *RECORDS) as server,
        serve_script(answers_page()) as shop,
    ):
        seen = await observe(shop.url(host="www.four.test"), resolver=server)
        many = await observe(shop.url(host="many.test"), resolver=server)
        literal = await observe(shop.url(), resolver="127.0.0.1:9")

    for one in (seen, many, literal):
        assert one.fault is None
        assert one.status == 200
    assert seen.address == HOST
    assert seen.phases[Phase.RESOLVE].total_seconds() > 0


@pytest.mark.needs("dnsmasq")
async def test_a_name_that_does_not_exist_is_told_with_the_server_that_said_so(
    tmp_path: Path,
) -> None:
    async with serve_dnsmasq(tmp_path, *RECORDS) as server:
        gone = await observe("http://gone.test/", resolver=server)
        foreign = await observe("http://shop.example/", resolver=server)

    assert gone.fault is not None
    assert gone.fault.code is Code.DNS
    assert gone.fault.message == (
        f"gone.test did not resolve at the DNS server {server}: there is no such name (NXDOMAIN)"
    )
    assert foreign.fault is not None
    assert foreign.fault.message == (
        f"shop.example did not resolve at the DNS server {server}: it answers REFUSED"
    )


async def test_what_a_named_server_says_is_no_doubt_about_our_own_resolver() -> None:
    async with serve_dns(lambda query, _tcp: dns.message.make_response(query)) as server:
        seen = await observe("http://shop.test/", resolver=server.place)

    assert seen.fault is not None
    assert seen.fault.message == f"shop.test has no address, says the DNS server {server.place}"
    assert not doubts_names(seen.fault, witnessed=True)


async def test_a_server_that_is_silent_is_named_and_it_is_no_fault_of_ours() -> None:
    async with serve_dns(lambda _query, _tcp: None) as server:
        seen = await observe("http://shop.test/", resolver=server.place, timeout=0.2)

    assert seen.fault is not None
    assert not seen.fault.own
    assert seen.fault.code is Code.TIMEOUT
    assert seen.fault.message == (
        f"the DNS server {server.place} gave no address of shop.test within 200ms"
    )
    assert not doubts_names(seen.fault, witnessed=True)


async def test_a_server_that_is_not_there_refuses() -> None:
    place = f"{HOST}:{unused_port()}"
    seen = await observe("http://shop.test/", resolver=place)

    assert seen.fault is not None
    assert seen.fault.code is Code.DNS
    assert seen.fault.message == (
        f"shop.test did not resolve at the DNS server {place}: it refuses to be asked"
    )


@pytest.mark.parametrize(
    ("error", "own", "words"),
    [
        (OSError(errno.EMFILE, "Too many"), True, "the monitor has no free file descriptor"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), False, "network is unreachable"),
        (RuntimeError("No descriptor"), False, "it cannot be asked: no descriptor"),
    ],
    ids=["our descriptors", "no way there", "as uvloop says it"],
)
async def test_a_server_that_cannot_be_asked_says_why(
    monkeypatch: pytest.MonkeyPatch, error: Exception, own: bool, words: str
) -> None:
    async def fails(*_args: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(asyncio.get_running_loop(), "create_datagram_endpoint", fails)
    seen = await observe("http://shop.test/", resolver="192.0.2.53")

    assert seen.fault is not None
    assert seen.fault.own is own
    assert words in seen.fault.message


async def test_a_name_that_dns_cannot_hold_is_no_name() -> None:
    host = f"{'a' * 64}.test"
    seen = await observe(f"http://{host}/", resolver="192.0.2.53")

    assert seen.fault is not None
    assert seen.fault.message == f"{host} is not a valid host name"


async def test_a_dns_server_whose_name_hangs_is_our_own_resolver_s_affair() -> None:
    waiting = threading.Event()

    def ask(_host: str, _port: int) -> Sequence[Address]:
        waiting.wait(5)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure")

    try:
        seen = await observe(
            "http://shop.test/", resolver="ns.test", names=Resolver(ask=ask), timeout=0.1
        )
    finally:
        waiting.set()

    assert seen.fault is not None
    assert seen.fault.message == "ns.test did not resolve within 100ms"
    assert seen.fault.unanswered == "ns.test"


async def test_a_preferred_family_is_waited_for_though_not_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("monitor.probes._net.nameserver._GRACE_OF_THE_PREFERRED", 0.05)

    def answer(query: dns.message.Message, _tcp: bool) -> Reply:
        if query.question[0].rdtype.name == "AAAA":
            return None
        return answering(query, "shop.test. A 127.0.0.1")

    async with serve_dns(answer) as server:
        assert await find("shop.test", IpChoice.PREFER_6, server=server.place) == [HOST]
        assert await find("shop.test", IpChoice.PREFER_4, server=server.place) == [HOST]


async def test_a_lost_packet_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.probes._net.nameserver._FIRST_PAUSE", 0.05)
    lost: set[str] = set()

    def answer(query: dns.message.Message, _tcp: bool) -> Reply:
        kind = query.question[0].rdtype.name
        if kind not in lost:
            lost.add(kind)
            return None
        return answering(query, "shop.test. A 127.0.0.1")

    async with serve_dns(answer) as server:
        assert await find("shop.test", IpChoice.ANY, server=server.place) == [HOST]


async def test_an_alias_that_leads_elsewhere_is_asked_on() -> None:
    def answer(query: dns.message.Message, _tcp: bool) -> Reply:
        if query.question[0].name.to_text() == "shop.test.":
            return answering(query, "shop.test. CNAME edge.test.")
        return answering(query, "edge.test. A 127.0.0.1")

    async with serve_dns(answer) as server:
        assert await find("shop.test", IpChoice.ONLY_4, server=server.place) == [HOST]
        assert [name for name, _, _ in server.asked] == ["shop.test.", "edge.test."]


async def test_aliases_that_lead_in_a_circle_end() -> None:
    def answer(query: dns.message.Message, _tcp: bool) -> Reply:
        name = query.question[0].name.to_text()
        other = "b.test." if name == "a.test." else "a.test."
        return answering(query, f"{name} CNAME {other}")

    async with serve_dns(answer) as server:
        seen = await observe("http://a.test/", resolver=server.place, ip=4)

    assert seen.fault is not None
    assert "it leads through more than 8 aliases" in seen.fault.message


def cut(query: dns.message.Message) -> bytes:
    response = dns.message.make_response(query)
    response.flags |= dns.flags.TC

    return response.to_wire()


async def test_an_answer_that_does_not_fit_is_asked_for_over_tcp() -> None:
    def answer(query: dns.message.Message, tcp: bool) -> Reply:
        return answering(query, "shop.test. A 127.0.0.1") if tcp else cut(query)

    async with serve_dns(answer) as server:
        assert await find("shop.test", IpChoice.ONLY_4, server=server.place) == [HOST]
        assert [tcp for *_, tcp in server.asked] == [False, True]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(
            lambda q, _: q.to_wire()[:2] + b"\x81\x80" + b"\0\1" * 4 + b"\xff" * 30,
            "not valid DNS",
            id="garbage",
        ),
        pytest.param(lambda q, _: q.to_wire()[:3], "not valid DNS", id="cut"),
        pytest.param(lambda q, _: q.to_wire(), "to something else", id="the question itself"),
        pytest.param(
            lambda q, tcp: None if tcp else cut(q), "not valid DNS", id="TCP that says nothing"
        ),
        pytest.param(
            lambda q, _: other_question(q), "to something else", id="an answer to another question"
        ),
        pytest.param(
            lambda q, _: q.to_wire()[:2] + b"\x81\x80" + bytes(4) + b"\x10\0" + bytes(4000),
            "more than 300 records",
            id="records without end",
        ),
    ],
)
async def test_an_answer_that_is_none_says_so(answer: object, why: str) -> None:
    async with serve_dns(answer) as server:  # type: ignore[arg-type]  # lambdas in a table
        seen = await observe("http://shop.test/", resolver=server.place, ip=4, timeout=1)

    assert seen.fault is not None
    assert seen.fault.code is Code.DNS
    assert seen.fault.message.startswith(f"shop.test did not resolve at the DNS server {HOST}")
    assert why in seen.fault.message


def other_question(query: dns.message.Message) -> bytes:
    other = dns.message.make_response(dns.message.make_query("evil.test", "A", id=query.id))

    return other.to_wire()


async def test_a_stray_packet_is_passed_over() -> None:
    """What carries another number answers another question, or is forged."""

    def answer(query: dns.message.Message, _tcp: bool) -> Reply:
        wrong = answering(query, "shop.test. A 192.0.2.66")
        wrong.id ^= 1
        return wrong

    async with serve_dns(answer) as server:
        seen = await observe("http://shop.test/", resolver=server.place, timeout=0.2)

    assert seen.fault is not None
    assert seen.fault.code is Code.TIMEOUT


async def test_a_server_that_is_silent_about_ipv6_holds_up_nothing() -> None:
    def answer(query: dns.message.Message, _tcp: bool) -> Reply:
        if query.question[0].rdtype.name == "AAAA":
            return None
        return answering(query, "shop.test. A 127.0.0.1")

    async with serve_dns(answer) as server, serve_script(answers_page()) as shop:
        seen = await observe(shop.url(host="shop.test"), resolver=server.place)

    assert seen.fault is None
    assert seen.phases[Phase.RESOLVE].total_seconds() < 1


async def test_where_one_family_fails_and_the_other_does_not_there_is_an_address() -> None:
    def answer(query: dns.message.Message, _tcp: bool) -> Reply:
        if query.question[0].rdtype.name == "A":
            return answering(query, "shop.test. A 127.0.0.1")
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.SERVFAIL)
        return response

    async with serve_dns(answer) as server:
        assert await find("shop.test", IpChoice.ANY, server=server.place) == [HOST]


async def test_a_server_may_have_a_name_of_its_own() -> None:
    async with (
        serve_dns(lambda query, _: answering(query, "shop.test. A 127.0.0.1")) as server,
        serve_script(answers_page()) as shop,
    ):
        port = server.place.rpartition(":")[2]
        seen = await observe(shop.url(host="shop.test"), resolver=f"localhost:{port}")
        lost = await observe(shop.url(host="shop.test"), resolver="ns.example:53")

    assert seen.fault is None
    assert lost.fault is not None
    assert "ns.example did not resolve" in lost.fault.message
