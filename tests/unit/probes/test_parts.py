"""The small parts of the HTTP probe: addresses of this machine, foreign text, time by phase."""

from __future__ import annotations

from datetime import timedelta

import pytest
from yarl import URL

from monitor.core.model.observation import Phase
from monitor.probes._http.connector import is_inward
from monitor.probes._http.explain import clean, explain_redirects
from monitor.probes._http.request import Request
from monitor.probes._http.wire_request import write_request
from monitor.probes._net.stopwatch import Stopwatch
from monitor.probes._net.tls import read_certificates


@pytest.mark.parametrize(
    ("address", "inward"),
    [
        pytest.param("127.0.0.1", True, id="loopback"),
        pytest.param("::1", True, id="IPv6 loopback"),
        pytest.param("::ffff:127.0.0.1", True, id="mapped loopback"),
        pytest.param("169.254.169.254", True, id="link-local, where metadata lives"),
        pytest.param("fe80::1%eth0", True, id="IPv6 link-local with its zone"),
        pytest.param("0.0.0.0", True, id="unspecified"),
        pytest.param("10.0.0.1", False, id="a private network is reached from elsewhere, too"),
        pytest.param("192.0.2.1", False, id="any other"),
    ],
)
def test_addresses_that_only_this_machine_reaches(address: str, inward: bool) -> None:
    assert is_inward(address) is inward


def test_foreign_text_stays_on_one_line_without_controls_and_bounded() -> None:
    shown = clean("a\r\nb\x1b[31m\u2028c\x00" + "x" * 1000)

    assert shown.startswith("a b [31m c x")
    assert len(shown) <= 200


@pytest.mark.parametrize(
    ("most", "words"),
    [
        pytest.param(1, "1 redirect was followed", id="one"),
        pytest.param(3, "3 redirects were followed", id="three"),
    ],
)
def test_redirects_are_counted_in_words(most: int, words: str) -> None:
    assert explain_redirects(most).message.startswith(words)


def test_a_peer_is_host_and_port() -> None:
    def peer(url: str) -> str:
        return write_request(Request(method="GET", url=URL(url), headers={}, body=None)).peer

    assert peer("https://shop.test/") == "shop.test:443"
    assert peer("http://[::1]:8080/") == "[::1]:8080"


def test_phases_add_up_and_never_exceed_the_whole() -> None:
    watch = Stopwatch()
    for phase in (Phase.RESOLVE, Phase.CONNECT, Phase.RESOLVE):
        watch.enter(phase)
    watch.leave()
    watch.leave()

    assert set(watch.phases()) == {Phase.RESOLVE, Phase.CONNECT}
    assert sum(watch.phases().values(), timedelta()) <= watch.elapsed()
    assert watch.phase is None


def test_what_is_no_certificate_is_none() -> None:
    assert read_certificates((b"nonsense",)) is None
