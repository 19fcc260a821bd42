"""Packets of strangers, of DNS and of ICMP: whatever is in them, nothing unforeseen is raised."""

from __future__ import annotations

from contextlib import suppress

import dns.message
import dns.rdatatype
import dns.rrset
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.probes._dns.message import Nonsense, answers, read_head, read_records
from monitor.probes._icmp.packets import (
    Family,
    Request,
    add_up,
    answered,
    quoted,
    read_trouble,
    strip_header,
)

QUERY = dns.message.make_query("shop.test", "ANY", id=0x1234)
RECORDS = (
    ("SOA", "ns.shop.test. admin.shop.test. 1000 3600 600 86400 60"),
    ("TXT", '"v=spf1 -all" "\\195\\188"'),
    ("MX", "10 mail.shop.test."),
    ("SRV", "0 5 5060 sip.shop.test."),
    ("CAA", '0 issue "ca.test"'),
    ("NAPTR", '100 10 "U" "E2U+sip" "!^.*$!sip:a@shop.test!" .'),
    ("LOC", "60 9 0.000 N 24 39 0.000 E 10.00m 20m 100m 10m"),
    ("HTTPS", '1 . alpn="h2,h3" ipv4hint="192.0.2.1"'),
    ("DNSKEY", "257 3 8 AwEAAag="),
    ("NSEC", "a.shop.test. A MX RRSIG TYPE1234"),
    ("AAAA", "2001:db8::1"),
)
KINDS = st.sampled_from([*dns.rdatatype.RdataType]) | st.integers(0, 0xFFFF)
numbers = st.integers(0, 0xFFFF)
families = st.sampled_from(Family)


def respond() -> bytes:
    response = dns.message.make_response(QUERY)
    response.answer = [dns.rrset.from_text("shop.test.", 60, "IN", *one) for one in RECORDS]

    return response.to_wire()


def read(wire: bytes) -> None:
    """Read what may be an answer, as the probe does."""
    with suppress(Nonsense):
        if answers(QUERY, wire):
            assert read_head(wire).rcode
            for record in read_records(wire):
                assert record.text.isprintable() or "\t" in record.text
                assert isinstance(record.says, str)


def test_the_untouched_answer_is_read() -> None:
    records = list(read_records(respond()))

    assert len(records) == len(RECORDS)
    assert [one.serial for one in records if one.serial is not None] == [1000]
    assert "v=spf1 -allü" in {one.says for one in records}


@settings(max_examples=400, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=6),
    end=st.integers(2, 600) | st.none(),
)
def test_an_answer_that_was_damaged_is_read_or_refused(
    changes: list[tuple[int, int]], end: int | None
) -> None:
    wire = bytearray(respond())
    for at, value in changes:
        wire[2 + at % (len(wire) - 2)] = value

    read(bytes(wire[:end]))


@settings(max_examples=400, deadline=None)
@given(kind=KINDS, of_class=st.sampled_from([1, 3, 255]) | numbers, data=st.binary(max_size=300))
def test_a_record_of_any_type_is_read_or_refused(kind: int, of_class: int, data: bytes) -> None:
    head = QUERY.to_wire()[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + QUERY.to_wire()[12:]
    parts = (kind.to_bytes(2, "big"), of_class.to_bytes(2, "big"), b"\0\0\0\x3c")

    read(head + b"\xc0\x0c" + b"".join(parts) + len(data).to_bytes(2, "big") + data)


@given(packet=st.binary(max_size=80), family=families, ident=st.none() | numbers)
def test_any_packet_is_a_reply_or_none(packet: bytes, family: Family, ident: int | None) -> None:
    strip_header(packet)
    answered(packet, family, ident)
    quoted(packet, family, ident)


@given(data=st.binary(max_size=60), family=families)
def test_any_entry_of_the_queue_of_errors_is_read_or_none(data: bytes, family: Family) -> None:
    trouble = read_trouble(data, family)

    assert trouble is None or trouble.words


@given(payload=st.binary(max_size=200), ident=numbers, sequence=numbers)
def test_what_is_sent_is_known_again_and_its_checksum_is_right(
    payload: bytes, ident: int, sequence: int
) -> None:
    request = Request(family=Family.IPV4, ident=ident, sequence=sequence, payload=payload)
    sent = request.write()

    assert quoted(sent, Family.IPV4, ident) == (sequence, payload)
    assert quoted(sent, Family.IPV4, ident ^ 1) is None
    assert answered(sent, Family.IPV4, ident) is None
    assert answered(b"\0" + sent[1:], Family.IPV4, ident) == (sequence, payload)
    assert add_up(sent) == 0
