"""The kind `tcp`: connections and dialogues, good and hostile."""

from __future__ import annotations

import resource
import socket
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from monitor.core.model.observation import Code, Phase
from monitor.core.model.verdict import Outcome
from monitor.names import Resolver
from monitor.probes import KINDS
from tests.support.authority import Authority
from tests.support.mail import drips, floods, serve_lines, serve_smtp
from tests.support.probing import ask, fault_of, judge_health, measured
from tests.support.servers import (
    answers,
    hang_up,
    reset,
    say_nothing,
    serve_handshakes,
    serve_script,
    unused_port,
)

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from monitor.core.model.observation import Observation
    from tests.support.servers import Script

BY_PATTERN = "probe_failed_due_to_regex"
BY_BYTES = "probe_failed_due_to_bytes"


def at(port: int, **options: Any) -> dict[str, Any]:
    return {"address": f"127.0.0.1:{port}", **options}


async def talk_to(
    script: Script, *steps: dict[str, Any], timeout: float = 2, **options: Any
) -> Observation:
    async with serve_script(script, reads_head=False) as server:
        return await ask("tcp", at(server.port, dialogue=list(steps), **options), timeout=timeout)


# Connections (group I, 75 and 82 of the inventory)


async def test_a_server_that_accepts_and_closes_is_up() -> None:
    async with serve_script(hang_up, reads_head=False) as server:
        seen = await ask("tcp", f"127.0.0.1:{server.port}")

    assert judge_health("tcp", seen).outcome is Outcome.PASS
    assert set(seen.phases) == {Phase.RESOLVE, Phase.CONNECT}
    assert measured(seen, BY_PATTERN) == 0


async def test_a_closed_port_is_down_and_says_so() -> None:
    port = unused_port()
    seen = await ask("tcp", f"127.0.0.1:{port}")

    assert fault_of(seen).message == f"127.0.0.1:{port} refused the connection"
    assert judge_health("tcp", seen).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("listens", "ip", "family"),
    [
        pytest.param("both", "prefer-4", 4, id="prefer-4 -> 4"),
        pytest.param("both", "prefer-6", 6, id="prefer-6 -> 6"),
        pytest.param("4", "prefer-6", 4, id="prefer-6, has 4 alone -> 4"),
        pytest.param("4", "6", None, id="6, has 4 alone -> fails"),
    ],
)
async def test_a_name_of_both_families_is_reached_over_the_one_that_is_chosen(
    listens: str, ip: str, family: int | None
) -> None:
    def both(host: str, port: int) -> Any:
        hosts = ("::1", "127.0.0.1") if listens == "both" else ("127.0.0.1",)
        return [one for name in hosts for one in socket.getaddrinfo(name, port, type=1)]

    listener = socket.socket(socket.AF_INET6)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind(("::", 0))
    listener.listen()
    with listener:
        port = listener.getsockname()[1]
        options = {"address": f"dual.test:{port}", "ip": ip}
        seen = await ask("tcp", options, resolver=Resolver(ask=both))

    assert seen.ip_family == family
    assert (seen.fault is None) is (family is not None)


# TLS at once (76)


async def test_tls_is_checked_against_the_host_or_the_name_that_is_given(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    trust = {"ca_file": str(authority.file)}
    with serve_handshakes(authority.context("shop.test")) as server:
        by_host = await ask("tcp", {"address": f"shop.test:{server.port}", "tls": trust})
        by_name = await ask("tcp", at(server.port, tls={**trust, "server_name": "shop.test"}))
        wrong = await ask("tcp", at(server.port, tls=trust))

    for seen in (by_host, by_name):
        assert seen.fault is None
        assert seen.certificate is not None
        assert seen.certificate.verified
        assert seen.tls_version == "TLS 1.3"
    assert fault_of(wrong).code is Code.TLS_CERT_HOSTNAME
    assert wrong.certificate is not None


# Dialogues (77 to 81)


async def test_a_real_mail_server_is_spoken_to_and_upgraded_by_steps(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with serve_smtp(authority.context("mail.test")) as port:
        seen = await ask(
            "tcp",
            {
                "address": f"mail.test:{port}",
                "tls": {"ca_file": str(authority.file)},
                "dialogue": [
                    {"expect": "^220 (?P<name>[^ ]+)", "send": "EHLO {name}\r\n"},
                    {"expect": "^250[- ]STARTTLS"},
                    {"expect": "^250 ", "send": "STARTTLS\r\n"},
                    {"expect": "^220", "starttls": True},
                    {"send": "EHLO {name}\r\n"},
                    {"expect": "^250 ", "send": "QUIT\r\n"},
                    {"expect": "^221"},
                ],
            },
        )

    assert seen.fault is None
    assert seen.certificate is not None
    assert seen.certificate.verified
    assert b"250-mail.test" in seen.body
    assert {Phase.PROCESSING, Phase.TLS} <= set(seen.phases)
    assert judge_health("tcp", seen, {"body": {"contains": "8BITMIME"}}).outcome is Outcome.PASS


async def test_lines_are_skipped_until_one_matches() -> None:
    async with serve_lines(
        ("NICK", ""),
        ("USER", ":irc NOTICE * :hello\r\nPING :abc\r\n"),
        ("PONG abc", ":irc NOTICE mon :well\r\n:irc 001 mon :Welcome\r\n"),
    ) as (server, spoken):
        seen = await ask(
            "tcp",
            at(
                server.port,
                dialogue=[
                    {"send": "NICK mon\n"},
                    {"send": "USER mon 0 * :mon\n"},
                    {"expect": "^PING :([^ ]+)", "send": "PONG {1}\n"},
                    {"expect": "^:[^ ]+ 001"},
                ],
            ),
        )

    assert seen.fault is None
    assert spoken.lines[2:] == [b"PONG abc"]


async def test_a_server_that_says_no_and_closes_is_quoted() -> None:
    seen = await talk_to(answers(b"ERROR :banned\r\n"), {"expect": "^:[^ ]+ 001"})

    fault = fault_of(seen)
    assert fault.code is Code.EXPECTATION
    assert fault.message.endswith(
        'said "ERROR :banned" and closed the connection, expected a line that matches "^:[^ ]+ 001"'
    )
    assert (measured(seen, BY_PATTERN), measured(seen, BY_BYTES)) == (1, 0)


async def test_what_is_captured_is_sent_back_and_exported() -> None:
    async with serve_lines(("", "SSH-2.0-OpenSSH_9.6\r\n"), ("hello", "bye OpenSSH\n")) as (
        server,
        spoken,
    ):
        seen = await ask(
            "tcp",
            at(
                server.port,
                dialogue=[
                    {
                        "expect": "^SSH-2.0-(?P<software>[^ ]+?)(?:_(?P<version>[0-9.]+))?( .*)?$",
                        "labels": {"ssh": "{version}", "comment": "{3}", "soft": "{software}!"},
                        "send": 'hello {software} {{software}} {"json": 1}\n',
                    },
                    {"expect": "^bye"},
                ],
            ),
        )

    assert seen.fault is None
    assert spoken.lines == [b'hello OpenSSH {software} {"json": 1}']
    labels = {"ssh": "9.6", "comment": "", "soft": "OpenSSH!"}
    assert measured(seen, "probe_expect_info", **labels) == 1


@pytest.mark.parametrize(
    ("said", "passes"),
    [
        pytest.param(b"\x01OK\xc3\xa9and more", True, id="the same"),
        pytest.param(b"\x01NO\xc3\xa9", False, id="others"),
        pytest.param(b"\x01O", False, id="fewer"),
    ],
)
async def test_bytes_are_expected_exactly_and_without_a_line_break(
    said: bytes, passes: bool
) -> None:
    seen = await talk_to(answers(said), {"expect_bytes": "\x01OKé"})

    assert (seen.fault is None) is passes
    assert measured(seen, BY_PATTERN) == 0
    assert measured(seen, BY_BYTES) == (0 if passes else 1)
    if not passes:
        assert fault_of(seen).message.endswith('expected "\\x01OKé"')


async def test_a_server_that_closes_without_a_word_fails_at_once() -> None:
    seen = await talk_to(hang_up, {"expect": "^220"}, timeout=5)

    assert fault_of(seen).message.endswith(
        'closed the connection, expected a line that matches "^220"'
    )
    assert seen.duration.total_seconds() < 2


async def test_what_came_instead_is_told_when_the_time_is_up() -> None:
    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"421 too busy\r\n")
        await reader.read()

    seen = await talk_to(wait, {"expect": "^220"}, timeout=0.3)

    assert fault_of(seen).code is Code.TIMEOUT
    assert fault_of(seen).message.endswith(
        'did not send a line that matches "^220" but "421 too busy" within 300ms'
    )
    assert seen.body == b"421 too busy\r\n"


async def test_the_last_line_needs_no_end() -> None:
    seen = await talk_to(answers(b"220 ready"), {"expect": "ready$"})

    assert seen.fault is None


# Hostile targets


@pytest.mark.parametrize(
    ("script", "timeout", "code"),
    [
        pytest.param(floods(b"x" * 65536), 5, Code.BAD_RESPONSE, id="a line without an end"),
        pytest.param(floods(b"\n" * 65536), 5, Code.BAD_RESPONSE, id="empty lines"),
        pytest.param(floods(b"x" * 1000 + b"\r\n"), 5, Code.BAD_RESPONSE, id="a flood of lines"),
        pytest.param(drips(b"x" * 1000, seconds=0.002), 0.3, Code.TIMEOUT, id="a drip"),
        pytest.param(say_nothing, 0.2, Code.TIMEOUT, id="silence"),
        pytest.param(reset, 5, Code.CONNECTION_RESET, id="a reset"),
        pytest.param(answers(b"\xff\xfe\x00" * 100), 5, Code.EXPECTATION, id="no UTF-8"),
    ],
)
async def test_a_hostile_target_costs_little_and_is_blamed(
    script: Script, timeout: float, code: Code
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    seen = await talk_to(script, {"expect": "^(a+)+$"}, timeout=timeout)
    after = resource.getrusage(resource.RUSAGE_SELF)

    assert fault_of(seen).code is code
    assert not fault_of(seen).own
    assert seen.duration.total_seconds() < timeout + 0.5
    assert len(seen.body) <= 256 * 1024 + 65536
    assert after.ru_utime - before.ru_utime < 1


async def test_lines_are_counted_so_that_a_flood_of_empty_ones_holds_up_nobody() -> None:
    seen = await talk_to(floods(b"\n" * 65536), {"expect": "^220"})

    assert fault_of(seen).message.endswith(
        "sent more than 2000 lines without what was expected among them"
    )
    assert len(seen.body) == 2001


async def test_a_banner_cannot_act_on_who_reads_of_it() -> None:
    banner = "\x1b[31m@everyone <!channel> \u202eevil\x07\r\n".encode()
    seen = await talk_to(
        answers(banner), {"expect": "(.*evil.*)", "labels": {"banner": "{1}"}}, {"expect": "more"}
    )
    other = await talk_to(answers(banner), {"expect": "^220"})

    (labels,) = [one.labels for one in seen.measures if one.family == "probe_expect_info"]
    assert labels[0][1].isprintable()
    assert fault_of(other).message.isprintable()
    assert "\\x1b[31m" in fault_of(other).message


async def test_a_half_close_is_an_end_and_no_hang() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        writer.write_eof()
        await reader.read()

    seen = await talk_to(half, {"expect": "^220", "send": "QUIT\r\n"}, {"expect": "^221"})

    assert fault_of(seen).message.endswith(
        'closed the connection, expected a line that matches "^221"'
    )


async def test_a_reset_after_each_step_is_the_targets() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        await writer.drain()
        await reader.readuntil(b"\n")
        await reset(reader, writer)

    seen = await talk_to(
        script, {"expect": "^220", "send": "EHLO x\r\n"}, {"expect": "^250", "starttls": True}
    )

    assert fault_of(seen).code is Code.CONNECTION_RESET
    assert not fault_of(seen).own


# Configuration


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"address": "mail.example"}, "expected host:port", id="no port"),
        pytest.param({"address": "unix:app.sock"}, "absolute path", id="relative path"),
        pytest.param({"dialogue": [{}]}, "expected one of expect", id="an empty step"),
        pytest.param({"dialogue": [{"expect": "("}]}, "is no RE2 pattern", id="a bad pattern"),
        pytest.param(
            {"dialogue": [{"expect": "a", "expect_bytes": "b"}]}, "found both", id="two wishes"
        ),
        pytest.param(
            {"dialogue": [{"send": "x"}, {"send": "EHLO {name}"}]},
            "step 2 of the dialogue: no step up to here captures {name}",
            id="nothing captured",
        ),
        pytest.param(
            {"dialogue": [{"expect": "(a)", "send": "{2}"}]}, "has no group 2", id="no such group"
        ),
        pytest.param(
            {"dialogue": [{"expect": "a", "labels": {"endpoint": "x"}}]},
            "expected a name of a label",
            id="a label of ours",
        ),
        pytest.param({"starttls": "gopher"}, "expected one of smtp, imap", id="unknown protocol"),
        pytest.param(
            {"starttls": "smtp", "dialogue": [{"starttls": True}]}, "begin once", id="TLS twice"
        ),
        pytest.param({"starttls": "smtp", "tls": False}, "tls: false", id="TLS and none"),
        pytest.param({"address": "unix:/x", "tls": True}, "server_name", id="no name"),
        pytest.param({"address": "unix:/x", "ip": 6}, "remove ip", id="family of a path"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        KINDS["tcp"].options.model_validate({"address": "mail.example:25", **options})

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("sent", "secret"),
    [
        ("AUTH PLAIN AGFuYQBodW50ZXIyMg==\r\n", {"AGFuYQBodW50ZXIyMg=="}),
        ("a1 LOGIN ana hunter2222\r\n", {"a1 LOGIN ana hunter2222", "hunter2222"}),
        ("hunter22\r\n", {"hunter22"}),
        ("correcthorsebattery", {"correcthorsebattery"}),
    ],
)
def test_what_is_sent_is_secret_and_so_are_credentials_in_it(sent: str, secret: set[str]) -> None:
    options: Any = KINDS["tcp"].options.model_validate(
        {"address": "mail.example:25", "dialogue": [{"send": sent}, {"send": "QUIT\r\n"}]}
    )

    texts = {one.reveal() for one in options.secrets}
    assert secret <= texts
    assert not any(text in repr(options) for text in secret)


@pytest.mark.parametrize("word", ["status", "ruok", "QUIT", "ping"])
def test_a_plain_word_that_is_sent_is_masked_nowhere_else(word: str) -> None:
    options: Any = KINDS["tcp"].options.model_validate(
        {"address": "zoo.example:2181", "dialogue": [{"send": word}, {"send": f"{word}\n"}]}
    )

    texts = [one.reveal() for one in options.secrets]
    assert texts == [f"{word}\n"]
