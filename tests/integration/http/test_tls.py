"""Cases E: what is verified, what is known of a certificate, also when verification fails."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.observation import Code, Phase
from tests.support.authority import Authority, context_of, issue
from tests.support.http_probe import observe, probing
from tests.support.servers import (
    answers_page,
    hang_up,
    page,
    reset,
    say_nothing,
    serve_handshakes,
    serve_pages,
    serve_script,
)
from tests.support.verdicts import judge_health, metrics_of

if TYPE_CHECKING:
    from pathlib import Path

DAY = timedelta(days=1)


def days_left(moment: datetime) -> int:
    return round((moment - datetime.now(UTC)) / DAY)


async def test_38_a_self_signed_certificate_is_refused_and_its_expiry_known(
    tmp_path: Path,
) -> None:
    context = context_of(tmp_path, issue("localhost", lasts=5 * DAY))
    async with serve_pages({"/": page()}, tls=context) as server:
        seen = await observe(server.url(host="localhost"))

    assert seen.fault is not None
    assert seen.fault.code is Code.TLS_CERT_UNTRUSTED
    assert "localhost is not trusted: self-signed certificate" in seen.fault.message
    assert seen.certificate is not None
    assert not seen.certificate.verified
    assert days_left(seen.certificate.not_after) == 5
    assert judge_health(seen).outcome == "fail"
    series = metrics_of(seen)
    assert series["probe_http_ssl"] == 0
    assert days_left(datetime.fromtimestamp(series["probe_ssl_earliest_cert_expiry"], UTC)) == 5


async def test_39_verification_may_be_switched_off(tmp_path: Path) -> None:
    context = context_of(tmp_path, issue("localhost", lasts=5 * DAY))
    async with serve_pages({"/": page()}, tls=context) as server:
        seen = await observe(server.url(), tls={"verify": False})

    assert seen.fault is None
    assert seen.certificate is not None
    assert not seen.certificate.verified
    assert judge_health(seen).outcome == "pass"
    series = metrics_of(seen)
    assert series["probe_http_ssl"] == 1
    assert series["probe_ssl_earliest_cert_expiry"] == seen.certificate.not_after.timestamp()


async def test_40_an_https_url_that_a_plain_server_answers_does_not_speak_tls() -> None:
    async with serve_pages({"/": page()}) as server:
        seen = await observe(server.url().replace("http:", "https:"))

    assert seen.fault is not None
    assert seen.fault.code is Code.TLS_HANDSHAKE
    assert "it does not speak TLS" in seen.fault.message
    assert metrics_of(seen)["probe_http_ssl"] == 0
    assert judge_health(seen).outcome == "fail"


@pytest.mark.parametrize(
    "script", [pytest.param(hang_up, id="closes"), pytest.param(reset, id="resets")]
)
async def test_41_a_server_that_closes_at_once_is_not_said_to_speak_no_tls(script: object) -> None:
    async with serve_script(script, reads_head=False) as server:  # type: ignore[arg-type]  # both are scripts
        seen = await observe(server.url().replace("http:", "https:"))

    assert seen.fault is not None
    assert seen.fault.code is Code.CONNECTION_RESET
    assert "does not speak TLS" not in seen.fault.message


async def test_42_an_http_url_of_a_plain_server_passes() -> None:
    async with serve_pages({"/": page()}) as server:
        seen = await observe(server.url())

    assert judge_health(seen).outcome == "pass"
    assert metrics_of(seen)["probe_http_ssl"] == 0


async def test_43_an_http_url_that_a_tls_server_answers_fails(authority: Authority) -> None:
    async with serve_script(answers_page(), tls=authority.context()) as server:
        seen = await observe(server.url().replace("https:", "http:"), timeout=1)

    assert seen.fault is not None
    assert seen.fault.code in (Code.BAD_RESPONSE, Code.CONNECTION_RESET)
    assert judge_health(seen).outcome == "fail"


async def test_44_tls_options_mean_nothing_to_a_plain_url(authority: Authority) -> None:
    async with serve_pages({"/": page()}) as server:
        seen = await observe(
            server.url(), tls={"ca_file": str(authority.file), "server_name": "other.test"}
        )

    assert seen.fault is None


async def test_45_the_host_of_the_url_is_checked_not_the_address_it_resolves_to(
    authority: Authority,
) -> None:
    async with serve_pages({"/": page()}, tls=authority.context("shop.test")) as server:
        by_name = await observe(server.url(host="shop.test"), tls={"ca_file": str(authority.file)})
        by_address = await observe(server.url(), tls={"ca_file": str(authority.file)})

    assert by_name.fault is None
    assert by_name.certificate is not None
    assert by_name.certificate.verified
    assert by_name.address == "127.0.0.1"
    assert by_address.fault is not None
    assert by_address.fault.code is Code.TLS_CERT_HOSTNAME
    assert by_address.fault.message == "the certificate is not for 127.0.0.1, but for shop.test"


async def test_46_a_server_name_takes_the_place_of_the_host(authority: Authority) -> None:
    async with serve_pages({"/": page()}, tls=authority.context("inner.test")) as server:
        seen = await observe(
            server.url(), tls={"ca_file": str(authority.file), "server_name": "inner.test"}
        )

    assert seen.fault is None


@pytest.mark.parametrize(
    ("begins", "ends", "code", "words"),
    [
        pytest.param(-9 * DAY, -2 * DAY, Code.TLS_CERT_EXPIRED, "expired on", id="47: expired"),
        pytest.param(
            2 * DAY, 9 * DAY, Code.TLS_CERT_NOT_YET_VALID, "not valid before", id="47: not yet"
        ),
    ],
)
async def test_a_certificate_outside_its_time(
    authority: Authority, begins: timedelta, ends: timedelta, code: Code, words: str
) -> None:
    now = datetime.now(UTC)
    context = authority.context(not_before=now + begins, not_after=now + ends)
    async with serve_pages({"/": page()}, tls=context) as server:
        seen = await observe(server.url(), tls={"ca_file": str(authority.file)})

    assert seen.fault is not None
    assert seen.fault.code is code
    assert words in seen.fault.message
    assert seen.certificate is not None
    assert days_left(seen.certificate.not_after) == ends / DAY
    assert judge_health(seen).reasons[0].code == code
    assert "probe_ssl_earliest_cert_expiry" in metrics_of(seen)


async def test_b24_a_certificate_that_is_swapped_is_seen_by_the_next_probe(
    authority: Authority,
) -> None:
    now = datetime.now(UTC)
    good = authority.context()
    expired = authority.context(not_before=now - 9 * DAY, not_after=now - DAY)

    def choose(sslobject: ssl.SSLObject | ssl.SSLSocket, _name: str, _context: object) -> None:
        sslobject.context = chosen

    chosen = good
    good.sni_callback = choose
    async with (
        serve_pages({"/": page()}, tls=good) as server,
        probing(server.url(host="localhost"), tls={"ca_file": str(authority.file)}) as probe,
    ):
        before = await probe.observe()
        chosen = expired
        after = await probe.observe()

    assert before.fault is None
    assert after.fault is not None
    assert after.fault.code is Code.TLS_CERT_EXPIRED


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
async def test_48_a_server_of_old_versions_alone_fails_unless_they_are_allowed(
    authority: Authority,
) -> None:
    context = authority.context()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1
    terms = {"ca_file": str(authority.file)}
    with serve_handshakes(context) as server:
        seen = await observe(server.url(), tls=terms)
        allowed = await observe(server.url(), tls={**terms, "min_version": "TLS10"})

    assert seen.fault is not None
    assert seen.fault.code is Code.TLS_HANDSHAKE
    assert "no version of TLS in common" in seen.fault.message
    assert judge_health(seen).outcome == "fail"
    assert allowed.tls_version == "TLS 1.0"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
async def test_48_a_highest_version_shows_that_old_ones_are_off(authority: Authority) -> None:
    with serve_handshakes(authority.context()) as server:
        seen = await observe(
            server.url(), tls={"ca_file": str(authority.file), "max_version": "TLS11"}
        )

    assert seen.fault is not None
    assert seen.fault.code is Code.TLS_HANDSHAKE
    assert "no version of TLS in common" in seen.fault.message


async def test_49_the_earliest_expiry_is_of_the_whole_presented_chain(tmp_path: Path) -> None:
    newer = issue("root", lasts=3 * DAY)
    older = issue("root", lasts=1 * DAY, key=newer.key)
    leaf = issue("localhost", lasts=2 * DAY, issuer=newer)
    trusted = tmp_path / "root.pem"
    trusted.write_bytes(newer.pem)
    async with serve_pages({"/": page()}, tls=context_of(tmp_path, leaf, older)) as server:
        seen = await observe(server.url(host="localhost"), tls={"ca_file": str(trusted)})
        trusting = await observe(server.url(host="localhost"), tls={"verify": False})

    assert seen.fault is None
    assert seen.certificate is not None
    assert days_left(seen.certificate.earliest_not_after) == 1
    assert days_left(seen.certificate.not_after) == 2
    earliest = metrics_of(seen)["probe_ssl_earliest_cert_expiry"]
    assert earliest == older.certificate.not_valid_after_utc.timestamp()
    ends = leaf.certificate.not_valid_after_utc
    assert seen.certificate.trusted_not_after == ends
    chain = "probe_ssl_last_chain_expiry_timestamp_seconds"
    assert metrics_of(seen)[chain] == ends.timestamp()
    assert metrics_of(trusting)[chain] == -62135596800


@pytest.mark.parametrize(
    ("number", "written"),
    [
        pytest.param(0x0B1234, "0b1234", id="50: a leading zero is kept"),
        pytest.param(0x8B1234, "8b1234", id="50: none is added"),
        pytest.param(1, "01", id="50: a short number is a whole byte"),
    ],
)
async def test_a_serial_number(number: int, written: str, tmp_path: Path) -> None:
    context = context_of(tmp_path, issue("localhost", lasts=DAY, serial=number))
    async with serve_pages({"/": page()}, tls=context) as server:
        seen = await observe(server.url(), tls={"verify": False})

    assert seen.certificate is not None
    assert seen.certificate.serial_number == written


@pytest.mark.parametrize(
    ("version", "label"),
    [
        pytest.param(ssl.TLSVersion.TLSv1_2, "TLS 1.2", id="51: TLS 1.2"),
        pytest.param(ssl.TLSVersion.TLSv1_3, "TLS 1.3", id="51: TLS 1.3"),
    ],
)
async def test_the_label_of_the_version(
    authority: Authority, version: ssl.TLSVersion, label: str
) -> None:
    context = authority.context()
    context.minimum_version = version
    context.maximum_version = version
    async with serve_pages({"/": page()}, tls=context) as server:
        seen = await observe(server.url(), tls={"ca_file": str(authority.file)})

    assert seen.tls_version == label
    assert metrics_of(seen)[f'probe_tls_version_info{{version="{label}"}}'] == 1


async def test_b25_a_handshake_that_stalls_ends_at_the_timeout(authority: Authority) -> None:
    async with serve_script(say_nothing, reads_head=False) as server:
        seen = await observe(server.url().replace("http:", "https:"), timeout=0.3)

    assert seen.fault is not None
    assert seen.fault.code is Code.TIMEOUT
    assert "the TLS handshake with" in seen.fault.message
    assert seen.phases[Phase.TLS].total_seconds() > 0.2
    assert Phase.PROCESSING not in seen.phases


async def test_b25_a_chain_of_100_kb_is_read(tmp_path: Path) -> None:
    names = issue("localhost", lasts=DAY)
    many = [issue(f"authority-{number}", lasts=DAY) for number in range(150)]
    async with serve_pages({"/": page()}, tls=context_of(tmp_path, names, *many)) as server:
        seen = await observe(server.url(), tls={"verify": False}, timeout=3)

    assert seen.certificate is not None or seen.fault is not None
    if seen.fault is not None:
        assert seen.fault.code is Code.TLS_HANDSHAKE


async def test_a17_a_peer_that_ends_tls_without_saying_so_is_an_answer_all_the_same(
    authority: Authority,
) -> None:
    async def cut(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nto the end")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()

    async with serve_script(cut, tls=authority.context()) as server:
        seen = await observe(server.url(), tls={"ca_file": str(authority.file)})

    assert seen.status == 200
    assert seen.body == b"to the end"


async def test_a_ca_file_that_vanished_is_our_own_fault(tmp_path: Path) -> None:
    file = tmp_path / "root.pem"
    file.write_bytes(issue("root", lasts=DAY).pem)
    context = context_of(tmp_path, issue("localhost", lasts=DAY))
    async with (
        serve_pages({"/": page()}, tls=context) as server,
        probing(server.url(), tls={"ca_file": "root.pem"}, base=tmp_path) as probe,
    ):
        file.unlink()
        gone = await probe.observe()
        file.write_text("no certificate")
        spoilt = await probe.observe()

    for seen in (gone, spoilt):
        assert seen.fault is not None
        assert seen.fault.own
        assert f"ca_file {file} cannot be read" in seen.fault.message
    assert judge_health(gone).outcome == "unknown"


async def test_a_ca_file_that_changed_is_read_again(authority: Authority, tmp_path: Path) -> None:
    file = tmp_path / "root.pem"
    file.write_bytes(issue("root", lasts=DAY).pem)
    async with (
        serve_pages({"/": page()}, tls=authority.context()) as server,
        probing(server.url(), tls={"ca_file": str(file)}) as probe,
    ):
        before = await probe.observe()
        file.write_bytes(authority.file.read_bytes())
        after = await probe.observe()

    assert before.fault is not None
    assert before.fault.code is Code.TLS_CERT_UNTRUSTED
    assert after.fault is None


async def test_ssl_cert_file_of_the_environment_is_honoured(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monitor.probes._net import tls

    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    tls._make_context.cache_clear()
    try:
        async with serve_pages({"/": page()}, tls=authority.context()) as server:
            seen = await observe(server.url())
    finally:
        tls._make_context.cache_clear()

    assert seen.fault is None
