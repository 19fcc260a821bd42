"""The kind `redis`: replies as values, and what goes wrong, against a real server."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from monitor.core.model.observation import Code, Phase
from monitor.core.model.verdict import Outcome
from monitor.probes import KINDS
from monitor.probes._redis.probe import interpret
from tests.support.probing import ask, fault_of, judge_health, measured
from tests.support.redis_server import RedisServer, serve_redis
from tests.support.servers import serve_script, unused_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

real = pytest.mark.needs("redis-server")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with serve_redis(tmp_path_factory.mktemp("redis")) as running:
        running.run("RPUSH", "jobs", "a", "b", "c")
        running.run("SET", "release", "2.4.1")
        running.run("SET", "failed", "17")
        yield running


@real
async def test_a_server_that_answers_is_healthy_and_timed(server: RedisServer) -> None:
    seen = await ask("redis", server.address)

    assert seen.fault is None
    assert seen.values["value"] == "PONG"
    assert judge_health("redis", seen).outcome is Outcome.PASS
    assert measured(seen, "probe_redis_duration_seconds", phase="processing") is not None
    assert set(seen.phases) == {Phase.RESOLVE, Phase.CONNECT, Phase.PROCESSING}


@real
@pytest.mark.parametrize(
    ("command", "value"),
    [
        (["LLEN", "jobs"], 3),
        (["GET", "failed"], 17),
        (["GET", "release"], "2.4.1"),
        (["GET", "nothing"], None),
        (["exists", "jobs"], 1),
    ],
    ids=lambda case: " ".join(case) if isinstance(case, list) else None,
)
async def test_a_reply_is_the_value(server: RedisServer, command: list[str], value: object) -> None:
    seen = await ask("redis", {"address": server.address, "command": command})

    assert seen.fault is None
    assert seen.values["value"] == value


@real
async def test_a_figure_of_info_can_be_expected(server: RedisServer) -> None:
    seen = await ask("redis", {"address": server.address, "command": ["INFO"]})

    expected = {"json": "$.loading", "equals": 0}
    assert judge_health("redis", seen, expected).outcome is Outcome.PASS
    wrong = judge_health("redis", seen, {"json": "$.role", "equals": "slave"})
    assert wrong.reasons[0].message == 'json $.role is "master", expected "slave"'
    assert json.loads(seen.body)["connected_clients"] >= 1


@real
async def test_a_list_can_be_looked_into(server: RedisServer) -> None:
    seen = await ask("redis", {"address": server.address, "command": ["ROLE"]})

    assert json.loads(seen.body)[0] == "master"
    assert "value" not in seen.values


@real
async def test_a_command_on_the_wrong_type_is_told_in_its_words(server: RedisServer) -> None:
    seen = await ask("redis", {"address": server.address, "command": ["GET", "jobs"]})

    assert seen.fault is not None
    assert seen.fault.code is Code.QUERY
    assert seen.fault.message.startswith(f"{server.address} refuses GET: WRONGTYPE")


@real
async def test_credentials_are_given_and_a_database_is_chosen(tmp_path: Path) -> None:
    with serve_redis(tmp_path, "--requirepass", "hunter22") as server:
        without = await ask("redis", server.address)
        wrong = await ask("redis", {"address": server.address, "password": "hunter23"})
        right = await ask("redis", f"redis://:hunter22@{server.address}/3")
        beyond = await ask("redis", f"redis://:hunter22@{server.address}/99")

    for seen in (without, wrong):
        assert seen.fault is not None
        assert seen.fault.code is Code.CREDENTIALS
        assert "hunter" not in seen.fault.message
    assert right.fault is None
    assert beyond.fault is not None
    assert "refuses SELECT 99: ERR DB index is out of range" in beyond.fault.message


@real
async def test_tls_is_spoken_and_the_certificate_is_seen(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = authority.issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    port = unused_port()
    files = [f"--tls-{name}-file" for name in ("cert", "key")]
    arguments = [part for name in files for part in (name, str(tmp_path / "server.pem"))]
    with serve_redis(
        tmp_path,
        *("--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no"),
        *("--tls-ca-cert-file", str(tmp_path / "ca.pem"), *arguments),
        tls_port=port,
    ):
        terms = {"ca_file": str(tmp_path / "ca.pem")}
        seen = await ask("redis", {"address": f"localhost:{port}", "tls": terms})
        untrusted = await ask("redis", f"rediss://localhost:{port}")
        plain = await ask("redis", f"localhost:{port}")

    assert seen.fault is None
    assert seen.certificate is not None
    assert untrusted.fault is not None
    assert untrusted.fault.code is Code.TLS_CERT_UNTRUSTED
    assert plain.fault is not None
    assert plain.fault.code in (Code.CONNECTION_RESET, Code.BAD_RESPONSE)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", Code.BAD_RESPONSE, id="HTTP"),
        pytest.param(b"*1\r\n" * 50_000 + b":1\r\n", Code.BAD_RESPONSE, id="depth"),
        pytest.param(b"$99999999\r\n" + b"x" * 2_000_000, Code.BAD_RESPONSE, id="a huge text"),
        pytest.param(b"*20000\r\n" + b":1\r\n" * 20_000, Code.BAD_RESPONSE, id="many parts"),
        pytest.param(b"*2147483647\r\n", Code.BAD_RESPONSE, id="an endless list"),
        pytest.param(b"*1\r\n*2147483647\r\n", Code.BAD_RESPONSE, id="one in another"),
        pytest.param(b"%2147483647\r\n", Code.BAD_RESPONSE, id="a map that nobody asked for"),
        pytest.param(b"$-2\r\n", Code.BAD_RESPONSE, id="a text of no length"),
        pytest.param(b"$2\r\nabcd", Code.BAD_RESPONSE, id="a text that goes on"),
        pytest.param(b":" + b"9" * 60_000 + b"\r\n", Code.BAD_RESPONSE, id="a huge number"),
        pytest.param(b"+" + b"x" * 100_000, Code.BAD_RESPONSE, id="a line without end"),
        pytest.param(b"*2\r\n+a\r\n", Code.CONNECTION_RESET, id="breaks off"),
        pytest.param(b"-LOADING\x1b[2J slow\r\n", Code.QUERY, id="an error with an escape"),
    ],
)
async def test_a_hostile_reply_is_the_servers_fault(said: bytes, code: Code) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(said)
        await writer.drain()

    async with serve_script(say, reads_head=False) as server:
        seen = await ask("redis", f"127.0.0.1:{server.port}", timeout=2)

    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.own) == (code, False)
    assert seen.fault.message.isprintable()


@pytest.mark.parametrize("announced", [b"*2147483647\r\n", b"*1\r\n*2147483647\r\n"])
async def test_a_list_that_is_only_announced_costs_nothing(announced: bytes) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        for byte in announced:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()

    async with serve_script(say, reads_head=False) as server:
        began = time.process_time()
        seen = await ask("redis", f"127.0.0.1:{server.port}", timeout=2)

    assert "of more than 10000 parts" in fault_of(seen).message
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"address": "cache:6379", "command": ["FLUSHALL"]}, "expected a command that only reads"),
        ({"address": "cache"}, "expected host:port"),
        ("http://cache/", "expected a URL such as redis://cache.example:6379/0"),
        ("redis://cache/x", "found the database 'x'"),
        ({"address": "cache:6379", "username": "ana"}, "expected a password with the username"),
        ({"address": "cache:6379", "command": []}, "at least 1"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(written: object, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        KINDS["redis"].options.model_validate(written)

    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        (b"007", "007"),
        (b"-5", -5),
        (b"1.50", 1.5),
        (b"1e5", "1e5"),
        (b"\xff", "�"),
        ([b"a", [b"1", None]], ["a", [1, None]]),
    ],
)
def test_what_is_written_as_a_number_is_one(reply: Any, value: object) -> None:
    assert interpret(reply, ["GET"]) == value
