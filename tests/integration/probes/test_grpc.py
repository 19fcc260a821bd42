"""The kind `grpc`: what the standard health service says, and what goes wrong on the way there."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from monitor.config.document import LiveText
from monitor.core.model.observation import Code, Phase
from monitor.core.model.verdict import Outcome
from monitor.options import Redactor, Secret
from monitor.probes import KINDS
from tests.support.grpc_server import serve_grpc
from tests.support.http_probe import make_context
from tests.support.probing import ask, fault_of, judge_health, measured
from tests.support.servers import say_nothing, serve_script, unused_port

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

NAMES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
STATE = "probe_grpc_healthcheck_response"


async def test_a_server_that_serves_is_healthy_and_says_so() -> None:
    with serve_grpc() as server:
        seen = await ask("grpc", server.address)

    assert seen.fault is None
    assert seen.values["value"] == "SERVING"
    assert judge_health("grpc", seen).outcome is Outcome.PASS
    assert measured(seen, "probe_grpc_status_code") == 0
    assert measured(seen, "probe_grpc_ssl") == 0
    states = {name: measured(seen, STATE, serving_status=name) for name in NAMES}
    assert states == {"UNKNOWN": 0, "SERVING": 1, "NOT_SERVING": 0, "SERVICE_UNKNOWN": 0}
    resolve = measured(seen, "probe_grpc_duration_seconds", phase="resolve")
    check = measured(seen, "probe_grpc_duration_seconds", phase="check")
    assert resolve is not None
    assert check is not None
    assert resolve + check <= seen.duration.total_seconds()


@pytest.mark.parametrize("state", ["NOT_SERVING", "UNKNOWN"])
async def test_a_service_that_does_not_serve_fails_with_its_state(state: str) -> None:
    with serve_grpc() as server:
        server.says("shop.Orders", state)
        seen = await ask("grpc", {"address": server.address, "service": "shop.Orders"})

    (reason,) = judge_health("grpc", seen).reasons
    assert reason.message == f'value is "{state}", expected "SERVING"'
    assert measured(seen, "probe_grpc_status_code") == 0
    assert measured(seen, STATE, serving_status=state) == 1


async def test_that_a_service_is_down_can_be_what_is_expected() -> None:
    with serve_grpc() as server:
        server.says("shop.Orders", "NOT_SERVING")
        seen = await ask("grpc", {"address": server.address, "service": "shop.Orders"})

    verdict = judge_health("grpc", seen, {"value": {"equals": "NOT_SERVING"}})
    assert verdict.outcome is Outcome.PASS


async def test_an_unknown_service_is_told_with_its_status() -> None:
    with serve_grpc() as server:
        seen = await ask("grpc", {"address": server.address, "service": "shop.Nothing"})

    assert seen.fault is not None
    assert seen.fault.code is Code.STATUS
    assert seen.fault.message.startswith(
        f"{server.address} answers the health check with NOT_FOUND (5)"
    )
    assert measured(seen, "probe_grpc_status_code") == 5


async def test_a_server_without_a_health_service_is_told_apart() -> None:
    with serve_grpc(with_health=False) as server:
        seen = await ask("grpc", server.address)

    assert seen.fault is not None
    assert "UNIMPLEMENTED (12)" in seen.fault.message
    assert measured(seen, "probe_grpc_status_code") == 12


async def test_tls_is_spoken_and_the_certificate_is_seen(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = authority.issue_cert("localhost")
    key = issued.private_key_pem.bytes()
    chain = b"".join(one.bytes() for one in issued.cert_chain_pems)
    with serve_grpc(tls=(key, chain)) as server:
        seen = await ask(
            "grpc", {"address": server.address, "tls": {"ca_file": str(tmp_path / "ca.pem")}}
        )
        untrusted = await ask("grpc", {"address": server.address, "tls": True})

    assert seen.fault is None
    assert seen.tls_version == "TLS 1.3"
    assert seen.certificate is not None
    assert Phase.TLS in seen.phases
    assert measured(seen, "probe_grpc_ssl") == 1
    assert untrusted.fault is not None
    assert untrusted.fault.code is Code.TLS_CERT_UNTRUSTED
    assert untrusted.certificate is not None


async def test_tls_to_a_plain_server_fails_as_unavailable() -> None:
    with serve_grpc() as server:
        seen = await ask("grpc", {"address": server.address, "tls": True})

    assert seen.fault is not None
    assert seen.fault.code in (Code.TLS_HANDSHAKE, Code.CONNECTION_RESET)
    assert measured(seen, "probe_grpc_status_code") == 14
    assert measured(seen, "probe_grpc_ssl") == 0
    assert seen.tls_version is None


async def test_metadata_from_a_file_is_read_again_and_masked(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("t0ken-before")
    live = LiveText("t0ken-before", Secret("t0ken-before", refresh=file.read_text))
    with serve_grpc() as server:
        options: Any = KINDS["grpc"].options.model_validate(
            {"address": server.address, "metadata": {"auth": live}}
        )
        mask = Redactor(options.secrets).mask
        probe = KINDS["grpc"].make(options, make_context())
        for text in ("t0ken-before", "t0ken-after", "two\nlines"):
            file.write_text(text)
            seen = await probe.observe()
            assert mask(text) == "***"
        await probe.close()
        given = [value for key, value in server.metadata if key == "auth"]

    assert given == ["t0ken-before", "t0ken-after"]
    assert fault_of(seen).own
    assert fault_of(seen).message == (
        "the metadata cannot be sent as it is now: auth: expected text in ASCII, "
        "or a key that ends with -bin"
    )


async def test_metadata_arrives_intact_also_repeated_and_binary() -> None:
    binary = base64.b64encode(b"\x00\xff\x10").decode()
    with serve_grpc() as server:
        seen = await ask(
            "grpc",
            {
                "address": server.address,
                "metadata": {"x-tenant": ["a", "b"], "trace-bin": binary, "auth": "t0ken"},
            },
        )

    assert seen.fault is None
    given = [pair for pair in server.metadata if pair[0] in ("x-tenant", "trace-bin", "auth")]
    assert given == [
        ("x-tenant", "a"),
        ("x-tenant", "b"),
        ("trace-bin", b"\x00\xff\x10"),
        ("auth", "t0ken"),
    ]


async def test_no_connection_means_no_facts_of_tls() -> None:
    seen = await ask("grpc", {"address": f"127.0.0.1:{unused_port()}", "tls": True})

    assert seen.fault is not None
    assert seen.fault.code is Code.CONNECTION_REFUSED
    assert (seen.certificate, seen.tls_version) == (None, None)
    assert measured(seen, "probe_grpc_status_code") == 14


async def test_a_health_service_that_never_answers_ends_at_the_timeout() -> None:
    async with serve_script(say_nothing, reads_head=False) as server:
        seen = await ask("grpc", f"127.0.0.1:{server.port}", timeout=0.3)

    assert seen.fault is not None
    assert seen.fault.code is Code.TIMEOUT
    assert measured(seen, "probe_grpc_status_code") == 4


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="HTTP/1.1"),
        pytest.param(b"\x00" * 100, id="zeros"),
        pytest.param(b"\xff" * 40_000, id="noise"),
        pytest.param(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" * 3, id="settings and nothing else"),
    ],
)
async def test_what_is_no_grpc_is_said_to_be_none(said: bytes) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        await reader.read(10)

    async with serve_script(babble, reads_head=False) as server:
        seen = await ask("grpc", f"127.0.0.1:{server.port}", timeout=2)

    assert seen.fault is not None
    assert seen.fault.code in (Code.BAD_RESPONSE, Code.CONNECTION_RESET)
    assert not seen.fault.own
