"""The kind `dns`: answers over UDP, TCP and TLS, and servers that misbehave."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rrset
import pytest

from monitor.core.model.observation import Code, Phase
from monitor.core.model.verdict import Outcome
from monitor.probes import KINDS
from monitor.probes._dns.message import read_records
from tests.support.authority import Authority
from tests.support.nameservers import serve_dns, serve_dnsmasq
from tests.support.probing import ask, judge_health, measured
from tests.support.servers import HOST, say_nothing, serve_script, unused_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from monitor.core.model.observation import Observation

    Records = Iterable[str]
    Query = dns.message.Message

NAME = "shop.test"
SOA = "shop.test. 60 IN SOA ns.shop.test. admin.shop.test. 1000 3600 600 86400 60"
both = pytest.mark.parametrize("transport", ["udp", "tcp"])


def respond(
    query: Query,
    answer: Records = (),
    authority: Records = (),
    additional: Records = (),
    *,
    rcode: str = "NOERROR",
    flags: int = 0,
) -> Query:
    """Answer with these records, as a zone file has them."""
    response = dns.message.make_response(query)
    response.set_rcode(dns.rcode.from_text(rcode))
    response.flags |= flags
    for section, records in (
        (response.answer, answer),
        (response.authority, authority),
        (response.additional, additional),
    ):
        for name, ttl, *rest in (record.split(" ", 4) for record in records):
            section.append(dns.rrset.from_text(name, int(ttl), *rest))

    return response


async def look(place: str, *, timeout: float = 5, **options: object) -> Observation:
    """Ask a server for `shop.test`, unless told otherwise."""
    return await ask("dns", {"server": place, "name": NAME, **options}, timeout=timeout)


async def look_at_answer(
    make: Callable[[Query], Any], *, timeout: float = 5, **options: object
) -> Observation:
    """Ask a server that answers so."""
    async with serve_dns(lambda query, _: make(query)) as server:
        return await look(server.place, timeout=timeout, **options)


# Answers


@both
async def test_only_a_question_with_recursion_is_answered_by_a_resolver(transport: str) -> None:
    def resolve(query: Query) -> Query:
        if not query.flags & dns.flags.RD:
            return respond(query, rcode="REFUSED")
        return respond(query, [f"{NAME}. 60 IN A 192.0.2.1", f"{NAME}. 60 IN A 192.0.2.2"])

    asked = await look_at_answer(resolve, transport=transport)
    unasked = await look_at_answer(resolve, transport=transport, recursion=False)

    assert judge_health("dns", asked).outcome is Outcome.PASS
    assert asked.values["dns_answer"] == ["192.0.2.1", "192.0.2.2"]
    assert measured(asked, "probe_dns_answer_rrs") == 2
    refused = judge_health("dns", unasked)
    assert refused.outcome is Outcome.FAIL
    assert refused.reasons[0].code is Code.RCODE
    assert refused.reasons[0].message == 'rcode is "REFUSED", expected "NOERROR"'
    assert measured(unasked, "probe_dns_answer_rrs") == 0
    for seen in (asked, unasked):
        assert measured(seen, "probe_dns_query_succeeded") == 1
        assert set(seen.phases) - {Phase.TRANSFER} == {
            Phase.RESOLVE,
            Phase.CONNECT,
            Phase.PROCESSING,
        }
        for phase in ("resolve", "connect", "request"):
            assert measured(seen, "probe_dns_duration_seconds", phase=phase) is not None


@pytest.mark.needs("dnsmasq")
@both
async def test_a_real_server_is_asked(tmp_path: Path, transport: str) -> None:
    lines = [f"address=/{NAME}/192.0.2.1", f"mx-host={NAME},mail.{NAME},10"]
    async with serve_dnsmasq(tmp_path, *lines, f"txt-record={NAME},v=spf1 -all") as place:
        address = await look(place, transport=transport)
        mail = await look(place, transport=transport, type="MX")
        text = await look(place, transport=transport, type="TXT")
        missing = await look(place, transport=transport, name="nothing.invalid")
        version = await ask(
            "dns",
            {
                "server": place,
                "transport": transport,
                "name": "version.bind",
                "type": "TXT",
                "class": "CH",
            },
        )

    expected: list[tuple[Observation, dict[str, Any]]] = [
        (address, {"dns_answer": {"equals": "192.0.2.1"}}),
        (mail, {"dns_answer": {"any": {"equals": f"10 mail.{NAME}."}}}),
        (text, {"dns_answer": {"any": {"equals": "v=spf1 -all"}}}),
        (text, {"dns_records": {"answer": {"ends_with": '\tIN\tTXT\t"v=spf1 -all"'}}}),
        (version, {"dns_answer": {"every": {"matches": "^dnsmasq-2"}}}),
        (missing, {"rcode": {"in": ["REFUSED", "NXDOMAIN"]}}),
    ]
    for seen, expectation in expected:
        assert judge_health("dns", seen, expectation).outcome is Outcome.PASS


async def test_a_server_is_asked_over_ipv6() -> None:
    class Listener(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            listening.sendto(respond(dns.message.from_wire(data)).to_wire(), addr)

    listening, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Listener, local_addr=("::1", 0)
    )
    try:
        seen = await look(f"[::1]:{listening.get_extra_info('sockname')[1]}")
    finally:
        listening.abort()
        await asyncio.sleep(0)

    assert seen.fault is None
    assert (seen.ip_family, seen.address) == (6, "::1")


@pytest.mark.parametrize("rcode", ["NOERROR", "SERVFAIL", "NXDOMAIN"])
async def test_an_outage_can_be_what_is_expected(rcode: str) -> None:
    seen = await look_at_answer(lambda query: respond(query, rcode=rcode))

    expected = {"rcode": {"in": ["SERVFAIL", "NXDOMAIN"]}}
    passes = judge_health("dns", seen, expected).outcome is Outcome.PASS
    assert passes is (rcode != "NOERROR")


async def test_where_the_rcode_is_wrong_no_records_are_missed() -> None:
    seen = await look_at_answer(lambda query: respond(query, rcode="NXDOMAIN"))

    verdict = judge_health("dns", seen, {"dns_answer": {"any": {"equals": "192.0.2.1"}}})

    assert [one.message for one in verdict.reasons] == ['rcode is "NXDOMAIN", expected "NOERROR"']


async def test_the_serial_of_a_zone_is_the_value() -> None:
    seen = await look_at_answer(lambda query: respond(query, [SOA]), type="SOA")

    assert seen.values["value"] == 1000
    assert measured(seen, "probe_dns_serial") == 1000
    assert judge_health("dns", seen, {"value": {"gte": 1000}}).outcome is Outcome.PASS


async def test_flags_can_be_expected() -> None:
    seen = await look_at_answer(lambda query: respond(query, flags=dns.flags.AA))

    assert judge_health("dns", seen, {"dns_flags": {"any": {"equals": "aa"}}}).outcome is (
        Outcome.PASS
    )
    assert measured(seen, "probe_dns_flag", flag="aa") == 1
    assert measured(seen, "probe_dns_flag", flag="ad") == 0


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("Bücher.test", "xn--bcher-kva.test."),
        ("_dmarc.bücher.test.", "_dmarc.xn--bcher-kva.test."),
        ("*.Shop.test", "*.Shop.test."),
        (".", "."),
    ],
)
async def test_names_of_other_scripts_are_asked_as_they_travel(written: str, asked: str) -> None:
    async with serve_dns(lambda query, _: respond(query)) as server:
        await look(server.place, name=written)

    assert server.asked == [(asked, "A", False)]


async def test_a_refusal_without_the_question_is_heard() -> None:
    def refuse(query: Query) -> Query:
        response = respond(query, rcode="REFUSED")
        response.question.clear()
        return response

    seen = await look_at_answer(refuse)

    assert seen.values["rcode"] == "REFUSED"


@pytest.mark.parametrize("section", ["answer", "authority", "additional"])
@pytest.mark.parametrize(
    ("expected", "addresses", "passes"),
    [
        # fail_if_matches_regexp
        ({"not_matches": r"127\.0\.0\.1$"}, ["127.0.0.2", "127.0.0.3"], True),
        ({"not_matches": r"127\.0\.0\.1$"}, ["127.0.0.2", "127.0.0.1"], False),
        ({"not_matches": r"127\.0\.0\.1$"}, [], True),
        # fail_if_all_match_regexp
        ({"any": {"not_matches": r"127\.0\.0\.[12]$"}}, ["127.0.0.2", "127.0.0.3"], True),
        ({"any": {"not_matches": r"127\.0\.0\.[12]$"}}, ["127.0.0.2", "127.0.0.1"], False),
        # fail_if_not_matches_regexp
        ({"every": {"matches": "^shop.test.\t60\tIN\tA\t127"}}, ["127.0.0.1", "127.0.0.2"], True),
        ({"every": {"matches": "^shop.test.\t60\tIN\tA\t127"}}, ["127.0.0.1", "192.0.2.1"], False),
        ({"every": {"matches": "^shop.test.\t60\tIN\tA\t127"}}, [], False),
        # fail_if_none_matches_regexp
        ({"any": {"matches": r"127\.0\.0\.1$"}}, ["127.0.0.1", "127.0.0.2"], True),
        ({"any": {"matches": r"127\.0\.0\.1$"}}, ["127.0.0.3", "127.0.0.2"], False),
        ({"any": {"matches": r"127\.0\.0\.1$"}}, [], False),
    ],
    ids=str,
)
async def test_the_records_of_each_section_can_be_expected(
    section: str, expected: dict[str, Any], addresses: list[str], passes: bool
) -> None:
    records = [f"{NAME}. 60 IN A {address}" for address in addresses]
    answer, authority, additional = (
        records if section == one else [] for one in ("answer", "authority", "additional")
    )

    seen = await look_at_answer(lambda query: respond(query, answer, authority, additional))

    verdict = judge_health("dns", seen, {"dns_records": {section: expected}})
    assert (verdict.outcome is Outcome.PASS) is passes
    assert measured(seen, f"probe_dns_{section}_rrs") == len(addresses)


# Over TLS


async def test_dns_over_tls_is_asked_and_the_certificate_is_seen(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    records = [f"{NAME}. 60 IN A 192.0.2.1"]
    async with serve_dns(
        lambda query, _: respond(query, records), tls=authority.context()
    ) as server:
        trusted = await look(
            server.place, transport="tls", tls={"ca_file": str(authority.file)}, name=NAME
        )
        untrusted = await look(server.place, transport="tls")

    assert judge_health("dns", trusted).outcome is Outcome.PASS
    assert trusted.certificate is not None
    assert set(trusted.phases) >= {Phase.CONNECT, Phase.TLS, Phase.PROCESSING}
    connect = measured(trusted, "probe_dns_duration_seconds", phase="connect")
    assert connect is not None
    assert connect >= trusted.phases[Phase.TLS].total_seconds()
    assert untrusted.fault is not None
    assert untrusted.fault.code is Code.TLS_CERT_UNTRUSTED


# No answer


async def test_a_closed_port_is_told_at_once() -> None:
    place = f"{HOST}:{unused_port()}"

    seen = await look(place)

    assert seen.fault is not None
    assert seen.fault.code is Code.CONNECTION_REFUSED
    assert seen.fault.message == f"{place} refused the question: nothing listens there for UDP"
    assert measured(seen, "probe_dns_query_succeeded") == 0
    assert measured(seen, "probe_dns_answer_rrs") is None


async def test_a_question_is_put_once_however_long_the_silence() -> None:
    async with serve_dns(lambda _query, _: None) as server:
        seen = await look(server.place, timeout=0.3)

    assert seen.fault is not None
    assert seen.fault.code is Code.TIMEOUT
    assert seen.fault.message == f"{server.place} did not answer within 300ms"
    assert len(server.asked) == 1


async def test_an_answer_after_the_time_belongs_to_no_later_question() -> None:
    late: list[bytes] = []

    def delay(query: Query) -> list[bytes]:
        late.append(respond(query, [f"{NAME}. 60 IN A 192.0.2.66"]).to_wire())
        return [] if len(late) == 1 else late[:1]

    async with serve_dns(lambda query, _: delay(query)) as server:
        first = await look(server.place, timeout=0.2)
        second = await look(server.place, timeout=0.2)

    assert first.fault is not None
    assert second.fault is not None
    assert "rcode" not in second.values
    assert second.fault.message == (
        f"{server.place}, from which came a packet that answers something else, "
        "did not answer within 200ms"
    )


async def test_what_answers_something_else_is_ignored() -> None:
    def spoof(query: Query) -> list[bytes]:
        real = respond(query, [f"{NAME}. 60 IN A 192.0.2.1"])
        fake = respond(query, [f"{NAME}. 60 IN A 192.0.2.66"])
        other = dns.message.make_query("other.test", "A", id=query.id)
        fake.id ^= 1
        update = respond(query, [f"{NAME}. 60 IN A 192.0.2.66"])
        update.set_opcode(dns.opcode.UPDATE)
        return [
            fake.to_wire(),
            query.to_wire(),
            update.to_wire(),
            respond(other, ["other.test. 60 IN A 192.0.2.66"]).to_wire(),
            b"",
            b"\0",
            b"garbage",
            real.to_wire(),
        ]

    seen = await look_at_answer(spoof)

    assert seen.fault is None
    assert seen.values["dns_answer"] == ["192.0.2.1"]


async def test_a_packet_from_elsewhere_is_never_heard() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=(HOST, 0)
    )

    class Overhearing(asyncio.DatagramProtocol):
        """Lets another socket answer: the address is wrong, and all else is right."""

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            query = dns.message.from_wire(data)
            transport.sendto(respond(query, [f"{NAME}. 60 IN A 192.0.2.66"]).to_wire(), addr)

    listening, _ = await loop.create_datagram_endpoint(Overhearing, local_addr=(HOST, 0))
    host, port = listening.get_extra_info("sockname")
    try:
        seen = await look(f"{host}:{port}", timeout=0.2)
    finally:
        listening.abort()
        transport.abort()
        await asyncio.sleep(0)

    assert seen.fault is not None
    assert seen.fault.code is Code.TIMEOUT


async def test_a_truncated_answer_is_judged_as_far_as_it_goes() -> None:
    seen = await look_at_answer(
        lambda query: respond(query, [f"{NAME}. 60 IN A 192.0.2.1"], flags=dns.flags.TC)
    )

    assert judge_health("dns", seen).outcome is Outcome.PASS
    assert measured(seen, "probe_dns_flag", flag="tc") == 1
    there = judge_health("dns", seen, {"dns_answer": {"any": {"equals": "192.0.2.1"}}})
    assert there.outcome is Outcome.PASS
    absent = judge_health("dns", seen, {"dns_answer": {"every": {"not_equals": "192.0.2.2"}}})
    assert absent.reasons[0].message.startswith("DNS answer is not known: it was truncated")


# Hostile answers


def headed(query: Query, count: int, body: bytes) -> bytes:
    """Write an answer to the question with so many records, which are these bytes."""
    wire = query.to_wire()

    return wire[:2] + b"\x81\x80" + struct.pack("!4H", 1, count, 0, 0) + wire[12:] + body


def record(kind: int, data: bytes, name: bytes = b"\xc0\x0c") -> bytes:
    return name + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


HOSTILE: dict[str, Callable[[Query], bytes]] = {
    "10,000 questions": lambda query: (
        query.to_wire()[:2]
        + b"\x81\x80"
        + struct.pack("!4H", 10_000, 0, 0, 0)
        + b"\x01a" * 100
        + b"\0\0\1\0\1"
        + b"\xc0\x0c\0\1\0\1" * 9999
    ),
    "ends in the header": lambda query: query.to_wire()[:7],
    "no question in it": lambda query: query.to_wire()[:2] + b"\x81\x80" + bytes(8),
    "10,000 records promised": lambda query: headed(query, 10_000, record(1, b"abcd")),
    "5,000 records": lambda query: headed(query, 4000, record(2, b"\xc0\x0c") * 4000),
    "fewer records than said": lambda query: headed(query, 3, record(1, b"abcd")),
    "a name that leads to itself": lambda query: headed(
        query, 1, record(1, b"abcd", struct.pack("!H", 0xC000 | len(query.to_wire())))
    ),
    "a name that leads nowhere": lambda query: headed(query, 1, record(1, b"abcd", b"\xff\xff")),
    "a length beyond the end": lambda query: headed(query, 1, record(1, b"abcd")[:-2]),
    "an address of 3 bytes": lambda query: headed(query, 1, record(1, b"abc")),
    "a text with a wrong length": lambda query: headed(query, 1, record(16, b"\xffabc")),
    "noise": lambda query: query.id.to_bytes(2, "big") + bytes(range(256)) * 8,
}


@both
@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_answer_is_the_servers_fault(name: str, transport: str) -> None:
    began = time.process_time()
    seen = await look_at_answer(HOSTILE[name], timeout=0.5, transport=transport)
    took = time.process_time() - began

    assert seen.fault is not None
    assert not seen.fault.own
    assert seen.fault.code in (Code.BAD_RESPONSE, Code.TIMEOUT)
    assert seen.fault.message.isprintable()
    assert took < 0.5


async def test_a_thousand_records_hold_nobody_up() -> None:
    labels = [b"\x01a" * 100 + bytes(1)]
    long = ".".join("a" for _ in range(100))

    def flood(query: Query) -> bytes:
        assert labels[0] in query.to_wire()
        return headed(query, 1000, record(2, b"\xc0\x0c") * 1000)

    query = dns.message.make_query(long, "NS")
    began = time.thread_time()
    assert len(list(read_records(flood(query)))) == 1000
    whole = time.thread_time() - began
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - began)

    watching = asyncio.create_task(watch())
    seen = await look_at_answer(flood, name=long, type="NS", transport="tcp")
    watching.cancel()

    assert seen.fault is None
    assert measured(seen, "probe_dns_answer_rrs") == 1000
    assert longest < whole / 2


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(b"\xff\xff", Code.TIMEOUT, id="a length and nothing else"),
        pytest.param(b"\0\0", Code.BAD_RESPONSE, id="an empty answer"),
        pytest.param(b"\0\x05abcde", Code.BAD_RESPONSE, id="noise"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", Code.TIMEOUT, id="HTTP"),
    ],
)
async def test_a_stream_that_is_no_dns_ends_in_time(sent: bytes, code: Code) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await say_nothing(reader, writer)

    async with serve_script(say, reads_head=False) as server:
        seen = await look(f"{HOST}:{server.port}", transport="tcp", timeout=0.3)

    assert seen.fault is not None
    assert seen.fault.code is code
    assert f"{HOST}:{server.port}" in seen.fault.message


async def test_packets_without_end_are_not_heard_without_end() -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((HOST, 0))
    host, port = sock.getsockname()

    def flood() -> None:
        data, source = sock.recvfrom(512)
        until = time.monotonic() + 2
        while time.monotonic() < until and not done.is_set():
            sock.sendto(data, source)

    done = threading.Event()
    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        seen = await look(f"{host}:{port}")
    finally:
        done.set()
        flooding.join()
        sock.close()

    assert seen.fault is not None
    assert seen.fault.code is Code.BAD_RESPONSE
    assert "sends packets without end" in seen.fault.message


async def test_what_says_how_to_read_the_message_is_no_record() -> None:
    def extend(query: Query) -> Query:
        response = respond(query, additional=[f"ns.{NAME}. 60 IN A 192.0.2.53"])
        response.use_edns(0, payload=1232)
        return response

    seen = await look_at_answer(extend)

    assert seen.fault is None
    assert measured(seen, "probe_dns_additional_rrs") == 1


# Options


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"type": "NOT_A_TYPE"}, "expected a type of DNS records such as A, MX or TXT"),
        ({"type": "AXFR"}, "nothing can be asked with AXFR"),
        ({"type": 1}, "expected a type of DNS records"),
        ({"class": "X"}, "expected a class of DNS records such as IN or CH, found"),
        ({"name": ""}, "at least 1"),
        ({"name": "a" * 64 + ".test"}, "expected a domain name"),
        ({"name": "shop..test"}, "expected a domain name"),
        ({"server": "192.0.2.53:0"}, "expected a port of 1 to 65535, found 0"),
        ({"server": "https://dns.example/"}, "expected a DNS server such as 192.0.2.53"),
        ({"transport": "https"}, "expected one of udp, tcp, tls"),
        ({"tls": True}, "expected transport: tls beside tls, found udp"),
    ],
    ids=str,
)
def test_options_that_cannot_be_meant_are_refused(written: dict[str, object], message: str) -> None:
    options = {"server": "192.0.2.53", "name": NAME, **written}

    with pytest.raises(ValueError) as refused:
        KINDS["dns"].options.model_validate(options)

    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("written", "target", "peer"),
    [
        ({}, "dns://192.0.2.53/shop.test?type=A", "192.0.2.53:53"),
        (
            {"server": "2001:db8::53", "transport": "tls", "type": "mx"},
            "dns://[2001:db8::53]/shop.test?type=MX",
            "[2001:db8::53]:853",
        ),
        (
            {"server": "ns.test:5353", "name": ".", "type": "NS", "class": "ch"},
            "dns://ns.test:5353/.?class=CH;type=NS",
            "ns.test:5353",
        ),
    ],
)
def test_what_is_asked_is_shown_as_an_address(
    written: dict[str, object], target: str, peer: str
) -> None:
    options: Any = KINDS["dns"].options.model_validate(
        {"server": "192.0.2.53", "name": NAME, **written}
    )

    assert (options.target, options.way().peer) == (target, peer)
