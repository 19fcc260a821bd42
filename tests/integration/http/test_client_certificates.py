"""A certificate of ours: what a server hears of it, what it says, and which files will not do."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest
import uvloop
from cryptography.hazmat.primitives import serialization

from monitor.core.model.observation import Code
from tests.support.authority import Authority
from tests.support.http_probe import make_probe, observe, probing
from tests.support.servers import page, redirect, serve_handshakes, serve_pages
from tests.support.verdicts import judge_health

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aiohttp import web

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]

every_version = pytest.mark.parametrize("version", VERSIONS, ids=["TLS 1.2", "TLS 1.3"])


def demanding(authority: Authority, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = authority.context(demands=True)
    context.minimum_version = context.maximum_version = version

    return context


def terms(authority: Authority, files: tuple[Path, Path] | None = None) -> dict[str, object]:
    """Write what a configuration says under `tls`."""
    given = {"cert_file": str(files[0]), "key_file": str(files[1])} if files else {}

    return {"ca_file": str(authority.file), **given}


@every_version
async def test_a_server_that_demands_a_certificate_gets_ours(
    authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    seen_of_us: list[object] = []

    async def note(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        seen_of_us.append(request.transport.get_extra_info("peercert"))
        return await page()(request)

    files = authority.write_client(tmp_path)
    async with serve_pages({"/": note}, tls=demanding(authority, version)) as server:
        seen = await observe(server.url(), tls=terms(authority, files))

    assert seen.fault is None
    assert seen.status == 200
    assert "monitor@example.org" in str(seen_of_us)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@every_version
def test_a_server_that_gets_none_says_what_it_wants(
    authority: Authority, version: ssl.TLSVersion, run: Callable[..., object]
) -> None:
    """Under TLS 1.3 it says so when the handshake is over for us, and hangs up."""
    with serve_handshakes(demanding(authority, version)) as server:
        seen = run(observe(server.url(), tls=terms(authority)))

    assert seen.fault is not None  # type: ignore[attr-defined]  # of an observation
    assert seen.fault.code is Code.TLS_HANDSHAKE  # type: ignore[attr-defined]  # as above
    assert "it wants a certificate of ours" in seen.fault.message  # type: ignore[attr-defined]  # as above
    assert judge_health(seen).outcome == "fail"  # type: ignore[arg-type]  # as above


@every_version
async def test_a_server_that_does_not_know_who_issued_ours_says_so(
    authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    (tmp_path / "other").mkdir()
    files = Authority(tmp_path / "other").write_client(tmp_path)
    with serve_handshakes(demanding(authority, version)) as server:
        seen = await observe(server.url(), tls=terms(authority, files))

    assert seen.fault is not None
    assert seen.fault.code is Code.TLS_HANDSHAKE
    assert seen.fault.message == (
        f"the TLS handshake with 127.0.0.1:{server.port} failed: "
        "it does not know who issued our certificate"
    )


async def test_a_renewed_certificate_is_presented_at_the_next_probe(
    authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    files = Authority(tmp_path / "other").write_client(tmp_path)
    with serve_handshakes(demanding(authority, VERSIONS[1])) as server:
        async with probing(server.url(), tls=terms(authority, files)) as probe:
            before = await probe.observe()
            authority.write_client(tmp_path)
            after = await probe.observe()

    assert before.fault is not None
    assert after.fault is None


@pytest.mark.parametrize("spoil", ["cert_file", "key_file", "both"])
async def test_files_that_went_bad_are_our_own_fault_and_no_key_is_shown(
    authority: Authority, tmp_path: Path, spoil: str
) -> None:
    certificate, key = authority.write_client(tmp_path)
    async with serve_pages({"/": page()}, tls=demanding(authority, VERSIONS[1])) as server:
        probe = make_probe(server.url(), tls=terms(authority, (certificate, key)))
        match spoil:
            case "cert_file":
                certificate.unlink()
            case "key_file":
                key.unlink()
            case _:
                key.write_text("hunter22")
        seen = await probe.observe()
        authority.write_client(tmp_path)
        again = await probe.observe()

    assert seen.fault is not None
    assert seen.fault.own
    assert str(certificate) in seen.fault.message or str(key) in seen.fault.message
    assert "hunter22" not in seen.fault.message
    assert judge_health(seen).outcome == "unknown"
    assert again.fault is None


async def test_another_host_to_which_an_answer_redirects_hears_nothing_of_our_certificate(
    authority: Authority, tmp_path: Path
) -> None:
    heard: list[object] = []

    async def note(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        heard.append(request.transport.get_extra_info("peercert"))
        return await page()(request)

    files = authority.write_client(tmp_path)
    asking = authority.context()
    asking.verify_mode = ssl.CERT_OPTIONAL
    asking.load_verify_locations(authority.file)
    async with serve_pages({"/": note}, tls=asking) as other:
        own = redirect(other.url(host="localhost"))
        async with serve_pages({"/": own, "/ours": note}, tls=asking) as server:
            seen = await observe(server.url(), tls=terms(authority, files))
            await observe(server.url("/ours"), tls=terms(authority, files))

    assert seen.status == 200
    assert heard[0] is None or heard[0] == {}
    assert heard[1]


def test_files_that_will_not_do_are_told_before_anything_is_asked(
    authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.write_client(tmp_path)
    other, _ = authority.write_client(tmp_path, "other")
    sealed = tmp_path / "sealed.key"
    loaded = serialization.load_pem_private_key(key.read_bytes(), password=None)
    sealed.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"hunter22"),
        )
    )

    def complaint(**tls: object) -> str:
        with pytest.raises(ValueError, match="tls") as caught:
            make_probe("https://shop.test/", tls=tls)
        return str(caught.value)

    assert "expected cert_file and key_file together, found cert_file alone" in complaint(
        cert_file=str(certificate)
    )
    assert "found key_file alone" in complaint(key_file=str(key))
    assert "expected an existing file" in complaint(cert_file="gone.pem", key_file=str(key))
    assert f"cert_file {other} and key_file {key} do not belong together" in complaint(
        cert_file=str(other), key_file=str(key)
    )
    for bad in (sealed, certificate):
        assert "in PEM, without a password" in complaint(
            cert_file=str(certificate), key_file=str(bad)
        )
