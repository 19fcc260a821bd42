"""The kind `tls`: handshakes, certificates good and bad, versions and protocols."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from monitor.core.model.observation import Code, Phase
from monitor.core.model.verdict import Outcome
from monitor.probes import KINDS
from tests.support.authority import Authority
from tests.support.probing import ask, judge_health, measured
from tests.support.servers import answers, hang_up, say_nothing, serve_handshakes, serve_script

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def at(port: int, authority: Authority, **options: Any) -> dict[str, Any]:
    return {"address": f"localhost:{port}", "ca_file": str(authority.file), **options}


async def test_a_handshake_is_timed_and_its_certificate_is_seen(authority: Authority) -> None:
    with serve_handshakes(authority.context()) as server:
        seen = await ask("tls", at(server.port, authority))

    assert judge_health("tls", seen).outcome is Outcome.PASS
    assert set(seen.phases) == {Phase.RESOLVE, Phase.CONNECT, Phase.TLS}
    assert measured(seen, "probe_tls_duration_seconds", phase="tls") is not None
    assert seen.tls_version == "TLS 1.3"
    assert seen.certificate is not None
    assert seen.certificate.verified
    verdict = judge_health("tls", seen, {"certificate": {"expires_in": {"gt": "14d"}}})
    assert verdict.outcome is Outcome.PASS


async def test_when_a_certificate_ends_is_known_also_where_it_is_not_accepted(
    authority: Authority,
) -> None:
    ended = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
    context = authority.context(not_before=ended - timedelta(days=30), not_after=ended)
    with serve_handshakes(context) as server:
        seen = await ask("tls", at(server.port, authority))
        strange = await ask("tls", f"localhost:{server.port}")
        named = await ask("tls", at(server.port, authority, server_name="shop.test"))
        trusting = await ask("tls", at(server.port, authority, verify=False))

    assert seen.fault is not None
    assert seen.fault.code is Code.TLS_CERT_EXPIRED
    assert strange.fault is not None
    assert named.fault is not None
    assert trusting.fault is None
    for one in (seen, strange, named, trusting):
        assert one.certificate is not None
        assert one.certificate.not_after == ended
        assert not one.certificate.verified


@pytest.mark.parametrize(
    ("offered", "passes"),
    [
        pytest.param(["h2"], True, id="h2"),
        pytest.param(["smtp", "http/1.1"], True, id="the second of two"),
        pytest.param(["imap"], False, id="another"),
        pytest.param([], True, id="nothing asked"),
    ],
)
async def test_the_server_has_to_choose_one_of_the_protocols(
    authority: Authority, offered: list[str], passes: bool
) -> None:
    context = authority.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with serve_script(say_nothing, tls=context, reads_head=False) as server:
        seen = await ask("tls", at(server.port, authority, alpn=offered))

    assert (seen.fault is None) is passes
    if seen.fault is not None:
        assert seen.fault.code is Code.TLS_HANDSHAKE


@pytest.mark.parametrize(
    ("limits", "version"),
    [
        pytest.param({}, "TLS 1.2", id="nothing said"),
        pytest.param({"max_version": "TLS12"}, "TLS 1.2", id="at most TLS 1.2"),
        pytest.param({"min_version": "TLS13"}, None, id="at least TLS 1.3"),
    ],
)
async def test_only_the_versions_that_are_allowed_are_spoken(
    authority: Authority, limits: dict[str, str], version: str | None
) -> None:
    context = authority.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with serve_handshakes(context) as server:
        seen = await ask("tls", at(server.port, authority, **limits))

    assert seen.tls_version == version
    assert (seen.fault is None) is (version is not None)


@pytest.mark.parametrize("newest", ["TLS12", "TLS13"])
async def test_what_a_server_thinks_of_our_certificate_is_heard(
    tmp_path: Path, authority: Authority, newest: str
) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    theirs, their_key = stranger.write_client(tmp_path, "stranger")
    ours, our_key = authority.write_client(tmp_path)
    with serve_handshakes(authority.context(demands=True)) as server:
        options = at(server.port, authority, max_version=newest)
        good = await ask("tls", {**options, "cert_file": str(ours), "key_file": str(our_key)})
        bad = await ask("tls", {**options, "cert_file": str(theirs), "key_file": str(their_key)})

    assert good.fault is None
    assert bad.fault is not None
    assert bad.fault.code is Code.TLS_HANDSHAKE
    assert "our certificate" in bad.fault.message


async def test_a_server_that_speaks_after_the_handshake_is_no_trouble(
    tmp_path: Path, authority: Authority
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n" * 1000)
        await writer.drain()
        await reader.read()

    ours, key = authority.write_client(tmp_path)
    async with serve_script(talk, tls=authority.context(), reads_head=False) as server:
        options = at(server.port, authority, cert_file=str(ours), key_file=str(key))
        seen = await ask("tls", options)

    assert seen.fault is None


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(hang_up, id="closes"),
        pytest.param(answers(b"220 mail ready\r\n"), id="speaks plain text"),
        pytest.param(answers(b"\x16\x03\x01\xff\xff" + b"\xff" * 70000), id="noise"),
    ],
)
async def test_what_is_no_tls_is_said_to_be_none(script: Any) -> None:
    async with serve_script(script, reads_head=False) as server:
        seen = await ask("tls", f"127.0.0.1:{server.port}")

    assert seen.fault is not None
    assert seen.fault.code in (Code.TLS_HANDSHAKE, Code.CONNECTION_RESET)
    assert seen.tls_version is None


async def test_a_drip_of_a_handshake_ends_with_the_time() -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"\x16\x03\x03\x40\x00" + bytes(16384):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.005)

    async with serve_script(drip, reads_head=False) as server:
        seen = await ask("tls", f"127.0.0.1:{server.port}", timeout=0.3)

    assert seen.fault is not None
    assert seen.duration.total_seconds() < 0.8


def test_a_host_alone_is_asked_at_the_port_of_https() -> None:
    assert KINDS["tls"].options.model_validate("shop.example").target == "shop.example:443"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"alpn": [""]}, "expected a protocol", id="no protocol"),
        pytest.param({"min_version": "TLS13", "max_version": "TLS12"}, "no version", id="versions"),
        pytest.param({"address": "https://shop.example"}, "expected host:port", id="a URL"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        KINDS["tls"].options.model_validate({"address": "shop.example", **options})

    assert said in str(caught.value)
