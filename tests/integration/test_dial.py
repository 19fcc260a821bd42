"""A look at a stream: phases, facts and faults of a connection that a kind of probe dials."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.observation import Code, Phase
from monitor.probes._net.dial import Way, dial, talking, upgrade
from monitor.probes._net.look import observe
from monitor.probes._net.tls import TlsTerms
from tests.support.authority import Authority
from tests.support.http_probe import make_context
from tests.support.servers import hang_up, reset, say_nothing, serve_script, unused_port

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from monitor.core.model.observation import Observation
    from monitor.probes._net.look import Look
    from tests.support.servers import Script


async def look_at(
    port: int, *, tls: TlsTerms | None = None, timeout: float = 5, host: str = "127.0.0.1"
) -> Observation:
    """Dial, and wait for one line."""
    context = make_context(timeout)

    async def ask(look: Look) -> None:
        connection = await dial(look, context.resolver, Way(host=host, port=port, tls=tls))
        try:
            look.watch.enter(Phase.PROCESSING)
            with talking(look):
                look.body = await connection.reader.readuntil(b"\n")
        finally:
            connection.close()

    return await observe(context, f"{host}:{port}", ask)


async def test_a_line_is_heard_and_each_phase_is_timed() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")

    async with serve_script(greet, reads_head=False) as server:
        seen = await look_at(server.port)

    assert seen.fault is None
    assert seen.body == b"220 ready\r\n"
    assert set(seen.phases) == {Phase.RESOLVE, Phase.CONNECT, Phase.PROCESSING}
    assert sum(seen.phases.values(), timedelta()) <= seen.duration
    assert (seen.address, seen.ip_family) == ("127.0.0.1", 4)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        pytest.param(hang_up, Code.CONNECTION_RESET, id="closes"),
        pytest.param(reset, Code.CONNECTION_RESET, id="resets"),
        pytest.param(say_nothing, Code.TIMEOUT, id="says nothing"),
    ],
)
async def test_what_a_peer_does_wrong_is_its_fault(script: Script, code: Code) -> None:
    async with serve_script(script, reads_head=False) as server:
        seen = await look_at(server.port, timeout=0.3)

    assert seen.fault is not None
    assert seen.fault.code is code
    assert f"127.0.0.1:{server.port}" in seen.fault.message
    assert not seen.fault.own


async def test_a_closed_port_refuses() -> None:
    seen = await look_at(unused_port())

    assert seen.fault is not None
    assert seen.fault.code is Code.CONNECTION_REFUSED


@pytest.mark.parametrize("late", [False, True], ids=["at once", "after a dialogue"])
@pytest.mark.parametrize("trusted", [False, True], ids=["unknown authority", "trusted"])
async def test_a_certificate_is_seen_whether_or_not_it_is_trusted(
    tmp_path: Path, late: bool, trusted: bool
) -> None:
    authority = Authority(tmp_path)
    context = authority.context("localhost")
    terms = TlsTerms(ca_file=str(authority.file) if trusted else None)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if late:
            await writer.start_tls(context)
        writer.write(b"hello\n")
        await writer.drain()

    resolver = make_context(5)
    async with serve_script(serve, tls=None if late else context, reads_head=False) as server:
        way = Way(host="localhost", port=server.port, tls=terms, upgrades=late)

        async def ask(look: Look) -> None:
            connection = await dial(look, resolver.resolver, way)
            try:
                if late:
                    await upgrade(look, way, connection)
                look.watch.enter(Phase.PROCESSING)
                with talking(look):
                    look.body = await connection.reader.readuntil(b"\n")
            finally:
                connection.close()

        seen = await observe(resolver, "shop", ask)

    assert seen.certificate is not None
    assert seen.certificate.verified is trusted
    assert Phase.TLS in seen.phases
    if trusted:
        assert (seen.fault, seen.body, seen.tls_version) == (None, b"hello\n", "TLS 1.3")
    else:
        assert seen.fault is not None
        assert seen.fault.code is Code.TLS_CERT_UNTRUSTED


async def test_a_bug_of_ours_is_not_the_targets() -> None:
    async def ask(look: Look) -> None:
        raise ZeroDivisionError

    seen = await observe(make_context(1), "shop", ask)

    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.own) == (Code.INTERNAL, True)
