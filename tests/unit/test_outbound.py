"""Speaking HTTP as a client: what a receiver wishes, which URLs are usable."""

from __future__ import annotations

from datetime import timedelta

import pytest

from monitor.core.outbox import Why
from monitor.outbound import ANSWER_LIMIT, NoAnswer, is_usable, parse_retry_after, post
from tests.support.authority import Authority
from tests.support.notices import NOON
from tests.support.receiver import answers, drips, drops, floods, hangs, redirects, serve_receiver
from tests.support.servers import answers_page, say_nothing, serve_script, unused_port

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30),
        (" 30 ", 30),
        ("0", 0),
        ("64.57", 64.57),
        ("86400", 3600),
        ("9" * 250, 3600),
        ("1" + "0" * 299 + ".5", 3600),
        ("Wed, 01 Jul 2026 12:00:30 GMT", 30),
        ("Wednesday, 01-Jul-26 12:00:30 GMT", 30),
        ("Wed, 01 Jul 2026 12:00:30 -0000", 30),
        ("Wed, 01 Jul 2026 11:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("-5", None),
        ("abc", None),
        ("", None),
        (None, None),
        ("nan", None),
        ("inf", None),
        ("1e9", None),
        ("٣٠", None),
        ("Wed, 99 Jul 2026 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_in_every_form(value: str | None, seconds: float | None) -> None:
    wish = parse_retry_after(value, NOON)

    assert wish == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("url", "usable"),
    [
        ("https://ops.example/hook?a=b", True),
        ("http://127.0.0.1:8080", True),
        ("https://[::1]/", True),
        ("https://user:pw@ops.example/", True),
        ("ftp://ops.example/", False),
        ("ops.example/hook", False),
        ("https://", False),
        ("https://ops.example:0/", False),
        ("https://ops.example:99999/", False),
        ("https://ops.example/a\nb", False),
        ("https://[::1/", False),
        ("", False),
    ],
)
def test_a_url_is_usable_when_a_request_can_be_sent_there(url: str, usable: bool) -> None:
    assert is_usable(url) is usable


async def reason_of(url: str, timeout: timedelta = SECOND) -> tuple[Why, str]:
    with pytest.raises(NoAnswer) as caught:
        await post(url, body=b"{}", headers={}, timeout=timeout)

    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.why is Why.TIMEOUT

    return caught.value.why, str(caught.value)


async def test_an_answer_has_status_headers_and_text() -> None:
    async with serve_receiver(answers(202, "taken", x_name="one")) as receiver:
        answer = await post(
            receiver.url(), body=b'{"a": 1}', headers={"X-Mine": "2"}, timeout=SECOND, method="PUT"
        )

    assert (answer.status, answer.text, answer.headers["x-name"]) == (202, "taken", "one")
    assert receiver.received[0].method == "PUT"
    assert receiver.received[0].json == {"a": 1}
    assert receiver.received[0].headers["x-mine"] == "2"


async def test_a_redirect_is_an_answer_and_not_followed() -> None:
    async with (
        serve_receiver() as elsewhere,
        serve_receiver(redirects(elsewhere.url())) as receiver,
    ):
        answer = await post(receiver.url(), body=b"secret", headers={}, timeout=SECOND)

    assert answer.status == 302
    assert elsewhere.received == []


async def test_an_endless_answer_is_read_up_to_a_limit() -> None:
    async with serve_receiver(floods()) as receiver:
        answer = await post(receiver.url(), body=b"", headers={}, timeout=5 * SECOND)

    assert len(answer.text) == ANSWER_LIMIT


@pytest.mark.parametrize("behaviour", [hangs(), drips()], ids=["hangs", "drips"])
async def test_the_deadline_ends_what_would_last_for_ever(behaviour: object) -> None:
    async with serve_receiver(behaviour) as receiver:  # type: ignore[arg-type]  # of the table
        why, _ = await reason_of(receiver.url("/canary"), timedelta(milliseconds=200))

    assert why is Why.TIMEOUT


async def test_a_connection_that_ends_before_the_answer_is_lost() -> None:
    async with serve_receiver(drops()) as receiver:
        why, said = await reason_of(receiver.url("/canary"))

    assert (why, said) == (Why.CONNECTION_LOST, "the connection ended before the answer")


async def test_a_closed_port_is_unreachable() -> None:
    why, said = await reason_of(f"http://127.0.0.1:{unused_port()}/canary")

    assert (why, said) == (Why.UNREACHABLE, "no connection: Connection refused")


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".invalid", "xn--.invalid"])
async def test_a_name_that_does_not_resolve_is_unreachable(host: str) -> None:
    why, _ = await reason_of(f"http://{host}/canary", 5 * SECOND)

    assert why in (Why.UNREACHABLE, Why.MISCONFIGURED)


async def test_a_name_is_resolved() -> None:
    async with serve_receiver() as receiver:
        url = f"http://localhost:{receiver.port}/"
        answer = await post(url, body=b"", headers={}, timeout=5 * SECOND)

    assert answer.status == 200


async def test_a_certificate_that_is_not_trusted_sends_nothing(tmp_path: object) -> None:
    authority = Authority(tmp_path)  # type: ignore[arg-type]  # a fixture without annotation
    async with serve_script(answers_page(200), tls=authority.context()) as receiver:
        why, said = await reason_of(receiver.url("/canary"))

    assert (why, said) == (Why.TLS, "the certificate is not trusted")
    assert receiver.heads == []


async def test_no_tls_where_it_is_asked_for_is_told() -> None:
    async with serve_script(answers_page(200), reads_head=False) as receiver:
        why, _ = await reason_of(receiver.url("/canary").replace("http:", "https:"))

    assert why is Why.TLS


async def test_what_is_not_http_is_no_answer() -> None:
    async def junk(_reader: object, writer: object) -> None:
        writer.write(b"\x00\xff garbage\r\n\r\n")  # type: ignore[attr-defined]  # a stream

    async with serve_script(junk) as receiver:
        why, said = await reason_of(receiver.url("/canary"))

    assert (why, said) == (Why.BAD_ANSWER, "the answer is not HTTP")


async def test_a_url_that_has_become_junk_is_told_without_showing_it() -> None:
    why, said = await reason_of("http://[canary")

    assert (why, said) == (Why.MISCONFIGURED, "the URL or a header cannot be sent")


async def test_the_environment_gives_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_port()}")
    async with serve_receiver() as receiver:
        answer = await post(receiver.url(), body=b"", headers={}, timeout=SECOND)

    assert answer.status == 200


async def test_a_silent_server_does_not_outlast_the_deadline() -> None:
    async with serve_script(say_nothing) as receiver:
        why, _ = await reason_of(receiver.url(), timedelta(milliseconds=100))

    assert why is Why.TIMEOUT
