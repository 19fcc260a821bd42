"""The kind `icmp`: pings through networks of the test's own, and what comes in place of replies."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.model.observation import Code, Phase
from monitor.core.model.verdict import Outcome
from monitor.probes import KINDS
from monitor.probes._icmp.probe import explain_sending
from tests.support.network import INSIDE, PROGRAMS, open_networks
from tests.support.pinging import (
    EVERYBODY,
    NOBODY,
    Echo,
    ping,
    ping_all,
    reply_in,
    unreachable,
)
from tests.support.probing import judge_health, measured

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.network import Network

HOST = "10.66.0.2"
ROUTER_6 = "fd66::2"
BEYOND = "203.0.113.9"
NOT_THERE = "10.66.0.99"

networks = pytest.mark.needs(*PROGRAMS)
each_socket = pytest.mark.parametrize("raw", [False, True], ids=["for everybody", "raw"])


@pytest.fixture
async def pair(raw: bool) -> AsyncIterator[tuple[Network, Network]]:
    """Give two networks with a host in the other one, and sockets of one sort in this one."""
    async with open_networks(HOST, resolver=HOST) as (here, there):
        await here.set("ipv4/ping_group_range", NOBODY if raw else EVERYBODY)
        await here.set("ipv4/neigh/up0/retrans_time_ms", "50")
        yield here, there


@networks
@each_socket
async def test_a_host_that_replies_is_healthy_and_timed(
    pair: tuple[Network, Network], raw: bool
) -> None:
    for host in ("127.0.0.1", "::1", HOST):
        seen = await ping(pair[0], host, raw=raw)

        assert seen.fault is None
        assert judge_health("icmp", seen).outcome is Outcome.PASS
        assert seen.values["value"] == 0
        assert seen.address == host
        assert set(seen.phases) == {Phase.RESOLVE, Phase.CONNECT, Phase.PROCESSING}
        for phase in ("resolve", "setup", "rtt"):
            assert measured(seen, "probe_icmp_duration_seconds", phase=phase) is not None
        assert measured(seen, "probe_icmp_reply_hop_limit") == 64


@networks
async def test_where_the_kernel_forbids_pings_nobody_is_blamed() -> None:
    async with open_networks(HOST, resolver=HOST) as (here, _):
        await here.set("ipv4/ping_group_range", NOBODY)
        for host in (HOST, "::1"):
            seen = await ping(here, host, raw=False)

            assert seen.fault is not None
            assert seen.fault.own
            group = os.getegid()
            assert f'net.ipv4.ping_group_range to "{group} {group}"' in seen.fault.message
            assert "CAP_NET_RAW" in seen.fault.message
            assert judge_health("icmp", seen).outcome is Outcome.UNKNOWN


@networks
@each_socket
async def test_many_pings_at_once_each_hear_their_own(
    pair: tuple[Network, Network], raw: bool
) -> None:
    hosts = [HOST, "127.0.0.1", "::1", {"host": HOST, "size": 1200}]

    seen = await ping_all(pair[0], [*hosts, NOT_THERE] * 30, raw=raw, timeout=5)

    for number, one in enumerate(seen):
        assert (one.fault is None) is (number % 5 < 4), one.fault


@networks
@each_socket
async def test_a_slow_reply_takes_its_time(pair: tuple[Network, Network], raw: bool) -> None:
    async with reply_in(pair[1], lambda echo, _: [(0.1, echo.reply())]):
        slow = await ping(pair[0], HOST, raw=raw)
    async with reply_in(pair[1], lambda echo, _: [(0, echo.reply()), (0.15, echo.reply())]):
        twice = await ping(pair[0], {"host": HOST, "count": 2}, raw=raw)

    rtt = measured(slow, "probe_icmp_duration_seconds", phase="rtt")
    assert rtt is not None
    assert rtt >= 0.1
    first = measured(twice, "probe_icmp_duration_seconds", phase="rtt")
    assert first is not None
    assert first < 0.07


@networks
@each_socket
async def test_silence_is_a_timeout(pair: tuple[Network, Network], raw: bool) -> None:
    async with reply_in(pair[1], lambda _echo, _: []) as replier:
        seen = await ping(pair[0], HOST, raw=raw, timeout=0.3)

    assert seen.fault is not None
    assert seen.fault.code is Code.TIMEOUT
    assert seen.fault.message == f"{HOST} did not answer within 300ms"
    assert len(replier.heard) == 1
    assert measured(seen, "probe_icmp_duration_seconds", phase="rtt") is None
    assert measured(seen, "probe_icmp_loss_ratio") == 1


@networks
@each_socket
async def test_of_several_pings_the_share_that_is_lost_is_the_value(
    pair: tuple[Network, Network], raw: bool
) -> None:
    def drop(echo: Echo, number: int) -> list[tuple[float, bytes]]:
        return [] if number % 2 else [(0, echo.reply())] * 2

    async with reply_in(pair[1], drop) as replier:
        seen = await ping(pair[0], {"host": HOST, "count": 4, "size": 8}, raw=raw, timeout=1)

    assert len({(echo.sequence, echo.payload) for echo in replier.heard}) == 4
    assert all(len(echo.payload) == 8 for echo in replier.heard)
    assert seen.fault is None
    assert seen.values["value"] == 0.5
    assert measured(seen, "probe_icmp_loss_ratio") == 0.5
    assert judge_health("icmp", seen).outcome is Outcome.PASS
    assert judge_health("icmp", seen, {"value": {"lt": 0.3}}).outcome is Outcome.FAIL


@networks
@each_socket
async def test_a_ping_that_a_router_gave_up_is_lost_unless_a_reply_came_after_all(
    pair: tuple[Network, Network], raw: bool
) -> None:
    def give_up(echo: Echo, number: int) -> list[tuple[float, bytes]]:
        given_up = unreachable(echo.reply(kind=8), from_host=INSIDE, to_host=HOST)
        if number == 0:
            return [(0, given_up)]
        if number == 1:
            return [(0, given_up), (0.05, echo.reply())]
        return [(0.1, echo.reply())]

    async with reply_in(pair[1], give_up):
        seen = await ping(pair[0], {"host": HOST, "count": 3}, raw=raw)

    assert seen.fault is None
    assert measured(seen, "probe_icmp_loss_ratio") == pytest.approx(1 / 3)


@networks
@each_socket
async def test_all_that_is_to_be_sent_is_sent_in_time(
    pair: tuple[Network, Network], raw: bool
) -> None:
    seen = await ping(pair[0], {"host": HOST, "count": 20}, raw=raw, timeout=3)

    assert seen.fault is None
    assert seen.values["value"] == 0


@networks
@each_socket
async def test_a_reply_of_another_host_is_none(pair: tuple[Network, Network], raw: bool) -> None:
    await pair[1].run("ip", "address", "add", "10.66.0.3/24", "dev", "down0")
    async with reply_in(pair[1], lambda echo, _: [(0, echo.reply())], from_host="10.66.0.3"):
        other = await ping(pair[0], HOST, raw=raw, timeout=0.3)
        itself = await ping(pair[0], "10.66.0.3", raw=raw)

    assert other.fault is not None
    assert other.fault.code is Code.TIMEOUT
    assert itself.fault is None


@networks
@each_socket
async def test_what_only_looks_like_a_reply_is_none(
    pair: tuple[Network, Network], raw: bool
) -> None:
    def forge(echo: Echo, _: int) -> list[tuple[float, bytes]]:
        request = echo.reply(kind=8)
        wrong = echo.reply(kind=8, payload=bytes(56))
        forged = [
            echo.reply(payload=bytes(56)),
            echo.reply(payload=echo.payload[:-1]),
            echo.reply(payload=echo.payload + b"\0"),
            echo.reply(sequence=echo.sequence ^ 1),
            echo.reply(ident=echo.ident ^ 1),
            echo.reply(kind=13),
            echo.reply()[:7],
            b"",
            unreachable(wrong, from_host=INSIDE, to_host=HOST),
            unreachable(request[:4] + b"\0\0" + request[6:], from_host=INSIDE, to_host=HOST),
            unreachable(request[:6] + b"\0\0" + request[8:], from_host=INSIDE, to_host=HOST),
        ]
        return [(0, packet) for packet in forged]

    async with reply_in(pair[1], forge):
        forged = await ping(pair[0], HOST, raw=raw, timeout=0.3)
        elsewhere = await ping(pair[0], "127.0.0.2", raw=raw)

    assert forged.fault is not None
    assert forged.fault.code is Code.TIMEOUT
    assert elsewhere.fault is None


@networks
@each_socket
async def test_what_routers_say_is_told_in_words(pair: tuple[Network, Network], raw: bool) -> None:
    here, there = pair
    await there.set("ipv4/ip_forward", "1")
    await there.run("ip", "route", "add", "unreachable", "198.51.100.0/25")
    await there.run("ip", "route", "add", "prohibit", "198.51.100.128/25")
    cable = ("link", "add", "wide0", "type", "veth", "peer", "name", "narrow0")
    await there.run("ip", *cable)
    for link in ("wide0", "narrow0"):
        await there.run("ip", "link", "set", link, "up", "mtu", "1000")
    await there.run("ip", "route", "add", "203.0.113.0/24", "dev", "wide0")
    await here.run("ip", "route", "add", "default", "via", HOST)
    large = {"host": BEYOND, "size": 1200, "dont_fragment": True}
    asked: list[object] = [
        {"host": BEYOND, "ttl": 1},
        "198.51.100.1",
        "198.51.100.200",
        NOT_THERE,
        large,
    ]

    seen = await ping_all(here, asked, raw=raw, timeout=5)
    again = await ping(here, large, raw=raw)  # now this system knows by itself

    messages = [one.fault.message if one.fault else None for one in seen]
    assert messages == [
        f"{BEYOND} could not be reached: "
        f"the way is longer than the time to live of the packet, says {HOST}",
        f"198.51.100.1 could not be reached: the host is unreachable, says {HOST}",
        f"198.51.100.200 could not be reached: a filter prohibits it, says {HOST}",
        f"{NOT_THERE} could not be reached: no machine of this network has its address",
        f"{BEYOND} could not be reached: "
        f"packets of more than 1000 bytes do not fit through the way, says {HOST}",
    ]
    assert again.fault is not None
    assert again.fault.message == messages[4].removesuffix(f", says {HOST}")  # type: ignore[union-attr]  # it equals a text, see above
    for one in seen:
        assert one.fault is not None
        assert (one.fault.code, one.fault.own) == (Code.CONNECTION_REFUSED, False)
        assert measured(one, "probe_icmp_duration_seconds", phase="rtt") is None


@networks
@each_socket
async def test_routers_of_ipv6_are_understood_as_well(
    pair: tuple[Network, Network], raw: bool
) -> None:
    here, there = pair
    await there.set("ipv6/conf/all/forwarding", "1")
    await here.run("ip", "address", "add", "fd66::1/64", "dev", "up0", "nodad")
    await there.run("ip", "address", "add", f"{ROUTER_6}/64", "dev", "down0", "nodad")
    await there.run("ip", "route", "add", "prohibit", "2001:db8:1::/64")
    await there.run("ip", "route", "add", "2001:db8:2::/64", "via", "fd66::1")
    await here.run("ip", "route", "add", "default", "via", ROUTER_6)
    asked: list[object] = [
        ROUTER_6,
        "2001:db8:1::9",
        {"host": "2001:db8:2::9", "ttl": 1},
        {"host": ROUTER_6, "size": 1453, "dont_fragment": True},
    ]

    reached, *others = await ping_all(here, asked, raw=raw, timeout=5)

    assert reached.fault is None
    assert [one.fault.message if one.fault else None for one in others] == [
        f"2001:db8:1::9 could not be reached: a filter prohibits it, says {ROUTER_6}",
        "2001:db8:2::9 could not be reached: "
        f"the way is longer than the hop limit of the packet, says {ROUTER_6}",
        f"{ROUTER_6} could not be reached: "
        "packets of more than 1500 bytes do not fit through the way",
    ]


@networks
@each_socket
async def test_a_route_that_this_machine_forbids_or_lacks(
    pair: tuple[Network, Network], raw: bool
) -> None:
    await pair[0].run("ip", "route", "add", "prohibit", "198.51.100.0/24")

    forbidden = await ping(pair[0], "198.51.100.1", raw=raw)
    lacking = await ping(pair[0], BEYOND, raw=raw)

    assert forbidden.fault is not None
    assert forbidden.fault.own
    assert lacking.fault is not None
    assert lacking.fault.message == f"{BEYOND} could not be reached: network is unreachable"


@pytest.mark.parametrize(
    ("number", "own", "message"),
    [
        (errno.EPERM, True, "this machine lets no ping to shop.test out: its firewall forbids it"),
        (errno.ENOBUFS, True, "this machine has no free network buffer"),
        (
            errno.EACCES,
            False,
            "shop.test could not be reached: it is the address of a whole network",
        ),
        (errno.EHOSTUNREACH, False, "shop.test could not be reached: no route to host"),
    ],
    ids=["firewall", "buffers", "broadcast", "no route"],
)
def test_what_keeps_a_ping_from_being_sent_is_blamed_on_whom_it_belongs_to(
    number: int, own: bool, message: str
) -> None:
    fault = explain_sending(OSError(number, ""), "shop.test")

    assert (fault.own, fault.message) == (own, message)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "expected a host such as gateway.example or 192.0.2.1"),
        ("https://shop.example/", "expected a host such as"),
        ("192.0.2.1:80", "expected a host such as gateway.example or 192.0.2.1, without a port"),
        (5, "Input should be"),
        ({"host": 5}, "expected a host such as"),
        ({"host": HOST, "ttl": 0}, "greater than or equal to 1"),
        ({"host": HOST, "ttl": 256}, "less than or equal to 255"),
        ({"host": HOST, "size": 65_508}, "less than or equal to 65507"),
        ({"host": HOST, "count": 0}, "greater than or equal to 1"),
        ({"host": HOST, "ip": 5}, "expected one of any, 4, 6"),
    ],
    ids=str,
)
def test_options_that_cannot_be_meant_are_refused(written: object, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        KINDS["icmp"].options.model_validate(written)

    assert message in str(refused.value)


@pytest.mark.parametrize("written", ["[2001:db8::1]", "2001:DB8:0::1", {"host": "2001:db8::1"}])
def test_an_address_of_ipv6_is_read_however_it_is_written(written: object) -> None:
    options: Any = KINDS["icmp"].options.model_validate(written)

    assert options.target == "2001:db8::1"
