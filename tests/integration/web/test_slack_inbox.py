"""Clicks in Slack as signed requests: who may, what they do, and what nobody gets through."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from monitor.clicks import ANSWER_WITHIN
from monitor.web.server import WebServer
from monitor.web.slack_inbox import is_recent, sign
from tests.support.logs import capture_logs
from tests.support.servers import unused_port
from tests.support.slack import (
    ANA,
    BEN,
    SIGNING_SECRET,
    TOKEN,
    FakeSlack,
    Message,
    just_now,
    serve_slack,
    signed,
)
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATH = "/slack/actions"


def configure(slack: FakeSlack, **options: Any) -> str:
    """Give the end of a configuration: an endpoint that is down, and a bot that tells of it."""
    bot = {
        "token": TOKEN,
        "channel": "#on-call",
        "base_url": slack.base_url,
        "signing_secret": SIGNING_SECRET,
        "users": [ANA],
        **options,
    }
    notifiers = json.dumps({"oncall": {"slack": {k: v for k, v in bot.items() if v is not None}}})

    return f"  gone: http://127.0.0.1:{unused_port()}/\nnotifiers: {notifiers}\n"


class Desk:
    """A served monitor that has told of one incident, and Slack before it."""

    def __init__(self, slack: FakeSlack, served: Any) -> None:
        self.slack = slack
        self.served = served

    @property
    def message(self) -> Message:
        return self.slack.first_posts[0]

    @property
    def incident(self) -> Any:
        (incident,) = self.served.monitor.engine.situation.incidents.values()
        return incident

    @property
    def taken_by(self) -> str:
        return self.incident.acknowledgement.by if self.incident.acknowledgement else ""

    def click(self, **who: str) -> dict[str, Any]:
        button = self.message.buttons.get("Acknowledge") or {
            "type": "button",
            "action_id": "production_monitor_acknowledge",
            "block_id": "press/1/oncall",
            "value": self.incident.id,
        }
        return self.slack.click(button, **who)

    async def send(self, body: bytes, headers: dict[str, str], path: str = PATH) -> int:
        status, *_ = await self.served.ask("POST", path, data=body, headers=headers)
        return int(status)

    async def press(self, payload: Any = None, **how: Any) -> int:
        wanted = {"at": just_now(), **how}
        return await self.send(*signed(payload or self.click(), **wanted))


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with serve_slack() as fake:
        yield fake


@pytest.fixture
def desk(serve: Any, slack: FakeSlack) -> Any:
    @asynccontextmanager
    async def opened(**options: Any) -> AsyncIterator[Desk]:
        async with serve(more=configure(slack, **options)) as served:
            await until(lambda: slack.first_posts)
            yield Desk(slack, served)

    return opened


async def test_a_click_acknowledges_and_the_message_says_who(desk: Any, slack: FakeSlack) -> None:
    async with desk() as one:
        assert list(one.message.buttons) == ["Acknowledge"]
        status = await one.press()
        await until(lambda: "Acknowledged by" in one.message.visible)

    assert status == 200
    assert one.taken_by == f"@ana ({ANA}) in Slack"
    assert f"Acknowledged by @ana ({ANA}) in Slack" in one.message.visible
    assert one.message.text.startswith(":eyes:")
    assert "gone cannot be reached" in one.message.text
    assert one.message.buttons == {}
    assert slack.whispers == []
    assert one.message.mentions == []


async def test_a_double_click_is_one_act(desk: Any, slack: FakeSlack) -> None:
    async with desk(users=[ANA, BEN]) as one:
        first = one.click()
        again = {**first, "actions": [{**first["actions"][0], "action_ts": "1700000001.000900"}]}
        late = one.click(user=BEN, name="ben")
        statuses = [await one.press(payload) for payload in (first, again, late)]
        await until(lambda: slack.whispers)
        timeline = one.served.monitor.engine.situation.timelines[one.incident.id]

    assert statuses == [200, 200, 200]
    assert one.taken_by == f"@ana ({ANA}) in Slack"
    assert [entry.event for entry in timeline].count("acknowledged") == 1
    [whisper] = slack.whispers
    assert whisper["response_type"] == "ephemeral"
    assert whisper["replace_original"] is False
    assert f"@ana ({ANA}) in Slack has taken it on already" in whisper["text"]


async def test_a_click_on_what_is_over_says_so(desk: Any, slack: FakeSlack) -> None:
    async with desk() as one:
        late = one.click()
        now = one.served.monitor.now()
        from monitor.core import acts

        engine = one.served.monitor.engine
        one.served.monitor.pipeline.record(
            engine.act(acts.resolve(one.incident, "ben", "", now), now)
        )
        await one.press(late)
        await until(lambda: slack.whispers)

    assert one.taken_by == ""
    assert f"{one.incident.id} is over since" in slack.whispers[0]["text"]


@pytest.mark.parametrize(
    ("options", "user", "said"),
    [
        pytest.param({}, BEN, f"your member ID, {BEN}, is not among the users", id="a stranger"),
        pytest.param({"users": None}, ANA, f"Your member ID is {ANA}", id="nobody is named"),
    ],
)
async def test_who_may_not_press_is_told_alone_and_nothing_is_done(
    desk: Any, slack: FakeSlack, options: dict[str, Any], user: str, said: str
) -> None:
    with capture_logs() as lines:
        async with desk(**options) as one:
            shown = list(one.message.buttons)
            status = await one.press(one.click(user=user, name="<!channel>"))
            await until(lambda: slack.whispers)

    assert status == 200
    assert one.taken_by == ""
    assert shown == ([] if "users" in options else ["Acknowledge"])
    assert said in slack.whispers[0]["text"]
    assert "slack_click_refused" in [line["event"] for line in lines]


def headers(**changed: str | None) -> dict[str, str]:
    _, known = signed({}, at=just_now(), body=b"payload={}")
    names = {"timestamp": "X-Slack-Request-Timestamp", "signature": "X-Slack-Signature"}
    changes = {names[name]: value for name, value in changed.items()}

    return {name: value for name, value in {**known, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"signature": None}, id="no signature"),
        pytest.param({"signature": ""}, id="an empty signature"),
        pytest.param({"signature": "v0=" + "0" * 64}, id="a forged signature"),
        pytest.param({"signature": "v1=" + "0" * 64}, id="another version"),
        pytest.param({"signature": "v0=ü" + "0" * 63}, id="a signature that is not ASCII"),
        pytest.param({"timestamp": None}, id="no timestamp"),
        pytest.param({"timestamp": "abc"}, id="no number"),
        pytest.param({"timestamp": "-1"}, id="a negative number"),
        pytest.param({"timestamp": "1e9"}, id="a float"),
        pytest.param({"timestamp": "\u00b2"}, id="a digit of no number"),
        pytest.param({"timestamp": "9" * 5_000}, id="a number without end"),
        pytest.param({"timestamp": "nan"}, id="nan"),
    ],
)
async def test_what_slack_did_not_sign_is_refused_without_a_word_in_the_log(
    desk: Any, changed: dict[str, str | None]
) -> None:
    with capture_logs() as lines:
        async with desk() as one:
            status = await one.send(b"payload={}", headers(**changed))

    assert status == 401
    assert [line for line in lines if line["log_level"] in ("warning", "error")] == []


async def test_a_signature_holds_for_five_minutes_for_one_body_and_one_secret(desk: Any) -> None:
    now = time.time()
    async with desk() as one:
        body, known = signed(one.click(), at=now + 1)
        statuses = [
            await one.press(at=now - 310),
            await one.press(at=now + 310),
            await one.press(secret="another"),
            await one.send(body + b" ", known),
            await one.send(body, {**known, "X-Slack-Request-Timestamp": str(int(now) + 2)}),
        ]
        assert one.taken_by == ""
        statuses.append(await one.press(at=now + 290))

    assert statuses == [401, 401, 401, 401, 401, 200]
    assert one.taken_by
    moment = datetime.fromtimestamp(now, UTC)
    assert [is_recent(str(int(now) - ago), moment) for ago in (290, 310)] == [True, False]


async def test_a_request_that_was_heard_before_is_refused(desk: Any) -> None:
    async with desk() as one:
        body, known = signed(one.click(), at=just_now())
        statuses = [await one.send(body, known) for _ in range(3)]

    assert statuses == [200, 401, 401]


async def test_a_request_that_was_heard_before_a_restart_is_refused(desk: Any) -> None:
    async with desk(users=[ANA, BEN]) as one:
        at = just_now()
        body, known = signed(one.click(), at=at)
        first = await one.send(body, known)
        await one.served.server.close()
        await until(lambda: time.time() >= int(at))  # a restart takes longer
        one.served.server = WebServer(one.served.monitor)
        await one.served.server.listen()
        try:
            again = await one.send(body, known)
            before = await one.press(one.click(user=BEN), at=at - 60)
            fresh = await one.press(one.click(user=BEN))
        finally:
            await one.served.server.close()

    assert (first, again, before, fresh) == (200, 401, 401, 200)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"\xff\xfe payload", 400, id="no UTF-8"),
        pytest.param(b"payload=%FF%FE", 400, id="no UTF-8 within"),
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"ssl_check=1", 400, id="no payload"),
        pytest.param(b"payload=" + b"[" * 200_000, 400, id="nested without end"),
        pytest.param(b"payload={", 400, id="no JSON"),
        pytest.param(b"payload=" + b"x" * 1_000_000, 413, id="a megabyte"),
        pytest.param(b"payload=[]", 200, id="a list"),
        pytest.param(b"payload=null", 200, id="null"),
        pytest.param(urlencode({"payload": '{"type": "view_closed"}'}).encode(), 200, id="others"),
    ],
)
async def test_what_is_signed_and_makes_no_sense_does_nothing(
    desk: Any, body: bytes, status: int
) -> None:
    with capture_logs() as lines:
        async with desk() as one:
            answered = await one.send(*signed(None, at=just_now(), body=body))

    assert answered == status
    assert one.taken_by == ""
    assert [line for line in lines if line["log_level"] in ("warning", "error")] == []


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"user": None}, id="nobody"),
        pytest.param({"user": {"id": ["U1"]}}, id="a list of users"),
        pytest.param({"user": {"id": f"{ANA}\n"}}, id="two lines"),
        pytest.param({"actions": "x"}, id="no actions"),
        pytest.param({"actions": [None, 1, {"action_id": {}}]}, id="odd actions"),
        pytest.param({"type": "view_submission"}, id="another type"),
    ],
)
async def test_a_payload_of_another_shape_does_nothing(desk: Any, changed: Any) -> None:
    async with desk() as one:
        status = await one.press({**one.click(), **changed})

    assert status == 200
    assert one.taken_by == ""


async def test_a_button_of_a_message_that_is_not_ours_does_nothing(desk: Any) -> None:
    async with desk() as one:
        button = one.message.buttons["Acknowledge"]
        for changed in ({"action_id": "open_link"}, {"value": "no-such-incident"}, {"value": ""}):
            assert await one.press(one.slack.click({**button, **changed})) == 200

    assert one.taken_by == ""


async def test_nobody_is_answered_elsewhere_than_at_slack(desk: Any, slack: FakeSlack) -> None:
    async with serve_slack() as elsewhere, desk() as one:
        for url in (
            f"http://127.0.0.1:{elsewhere.port}/actions/x",
            f"http://hooks.slack.com@127.0.0.1:{elsewhere.port}/actions/x",
            f"http://x@127.0.0.1:{slack.port}/actions/x",
            "http://hooks.slack.com/actions/x",
            "https://hooks.slack.com.evil.example/actions/x",
            "file:///etc/passwd",
            "http://[",
        ):
            click = {**one.click(user=BEN), "response_url": url}
            assert await one.press(click) == 200
        await one.served.monitor.clicks.close()

    assert elsewhere.requests == []
    assert elsewhere.whispers == []
    assert slack.whispers == []


async def test_without_a_secret_there_is_nothing_to_send_to(desk: Any) -> None:
    async with desk(signing_secret=None, users=None) as one:
        assert await one.press(one.slack.click({"type": "button"})) == 404


async def test_slack_needs_no_token_and_passes_by_the_public_name(serve: Any) -> None:
    async with serve_slack() as slack:
        web = "public_url: https://monitor.example"
        async with serve(more=configure(slack), web=web) as served:
            await until(lambda: slack.first_posts)
            one = Desk(slack, served)
            body, known = signed(one.click(), at=just_now())
            rebound = await one.send(body, {**known, "Host": "evil.example"})
            crossing = await one.send(body, {**known, "Origin": "https://evil.example"})
            status = await one.send(body, {**known, "Host": "monitor.example"})

    assert (rebound, crossing, status) == (403, 403, 200)
    assert one.taken_by


async def test_who_tries_signatures_is_slowed_down_and_slack_is_not(desk: Any) -> None:
    async with desk() as one:
        tried = [await one.press(secret=f"guess {number}") for number in range(12)]
        status = await one.press()

    assert tried == [401] * 10 + [429] * 2
    assert status == 200


async def test_a_store_that_hangs_keeps_slack_waiting_for_a_short_time_only(desk: Any) -> None:
    async with desk() as one:
        gate = asyncio.Event()
        journal = one.served.monitor.journal
        flush = journal.flush

        async def late() -> None:
            await gate.wait()
            await flush()

        journal.flush = late
        one.served.monitor.clicks.answer_within = timedelta(seconds=0.2)
        status = await one.press()  # it would never be answered if the store were waited for
        gate.set()

    assert status == 200
    assert timedelta(seconds=1) <= ANSWER_WITHIN < timedelta(seconds=3)
    assert one.taken_by


def test_the_signature_is_that_of_slacks_documentation() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&"
        b"channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&"
        b"command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2F"
        b"commands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&"
        b"trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )

    assert sign("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", body) == (
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    )
