"""Apprise, the real library, over real sockets: told, not told, hanging, and not installed."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.core.model.notice import Delivered, Earlier, NoticeEvent, TryAgain
from monitor.notifiers import apprise as kind
from monitor.notifiers.apprise import AppriseNotifier, AppriseOptions
from tests.support.notices import make_context, make_delivery, make_member, make_notice
from tests.support.receiver import HOST, Receiver, answers, hangs, serve_receiver

CANARY = "apprise-canary-3b9a"


def make(receiver: Receiver, **options: Any) -> AppriseNotifier:
    given = {"url": f"json://{HOST}:{receiver.port}/{CANARY}", "timeout": "2s", **options}

    return AppriseNotifier(AppriseOptions.model_validate(given), make_context())


async def test_a_service_that_apprise_knows_is_told() -> None:
    async with serve_receiver() as receiver:
        receipt = await make(receiver).deliver(make_delivery(), Earlier())

    [request] = receiver.received
    assert receipt == Delivered()
    assert request.path == f"/{CANARY}"
    assert request.json["title"] == (
        "\U0001f6a8 shop answers 500, expected 2xx, for 2 min (api.health, 5 times in a row)"
    )
    assert request.json["message"].startswith("Since 2026-07-01 12:00:00 UTC (2 min), severity")
    assert request.json["type"] == "failure"
    assert "runbook: https://wiki.example/shop" in request.json["message"]


async def test_its_end_is_a_success_and_calls_nobody() -> None:
    over = make_notice(NoticeEvent.RESOLVED, members=(make_member("@everyone.health"),))
    async with serve_receiver() as receiver:
        await make(receiver).deliver(make_delivery(over), Earlier())

    assert receiver.received[0].json["type"] == "success"
    assert "@everyone" not in receiver.received[0].json["message"]


async def test_however_much_there_is_to_say_it_says_what_about_and_whether_it_may_repeat() -> None:
    many = tuple(make_member(f"api-{number}.health", reason="x" * 300) for number in range(40))
    repeat = replace(make_delivery(make_notice(members=many)), maybe_sent=True)
    async with serve_receiver() as receiver:
        await make(receiver).deliver(repeat, Earlier())

    message = receiver.received[0].json["message"]
    assert len(message) <= 3_000
    assert message.splitlines()[-1].startswith("incident ")
    assert message.endswith("may repeat an earlier message")


async def test_what_it_could_not_tell_is_tried_again_and_no_secret_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serve_receiver(answers(500, "no")) as receiver:
        receipt = await make(receiver).deliver(make_delivery(), Earlier())

    assert receipt == TryAgain(reason="bad_answer", error="Apprise could not tell it, and not why")
    assert not [record for record in caplog.records if record.name == "apprise"]


async def test_what_hangs_is_left_at_the_timeout_and_nothing_more_is_begun() -> None:
    async with serve_receiver(then=hangs()) as receiver:
        notifier = make(receiver, timeout="300ms")
        first = await notifier.deliver(make_delivery(), Earlier())
        second = await notifier.deliver(make_delivery(), Earlier())
        await notifier.close()

    assert first == TryAgain(reason="timeout", error="Apprise did not end in time")
    assert second == TryAgain(reason="timeout", error="the attempt before it has not ended")
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("nothing://that.is/known", "expected a URL that Apprise knows"),
        ("no url", "expected a URL that Apprise knows"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general", "the notifier slack"),
        (f"pagerduty://{'a' * 32}@{'b' * 20}", "the notifier pagerduty"),
    ],
)
def test_what_it_cannot_tell_or_we_tell_better_is_refused_at_load(url: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        AppriseOptions.model_validate({"url": url})


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "find_spec", lambda _name: None)

    with pytest.raises(ValidationError, match=r"pip install production-monitor\[apprise\]"):
        AppriseOptions.model_validate({"url": f"json://{HOST}/{CANARY}"})
