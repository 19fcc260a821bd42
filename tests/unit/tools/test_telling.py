"""How the demo is told: Slack's messages as people see them, and each thing once."""

from __future__ import annotations

import io
from typing import Any

import aiohttp
from rich.console import Console

from monitor.tools.demo.receiver import TOKEN, Message, Receiver, read_message
from monitor.tools.demo.telling import Telling


def message(**parts: Any) -> Message:
    plain: dict[str, Any] = {"text": "hi", "details": (), "color": "", "thread": None}

    return Message(**plain | {"update": None} | parts)


def tell() -> tuple[Telling, io.StringIO]:
    written = io.StringIO()

    return Telling(Console(file=written, width=200)), written


def test_markup_is_read_as_slack_shows_it() -> None:
    found = read_message(
        {
            "text": ":rotating_light: *shop answers 503 &amp; more*",
            "thread_ts": "1.2",
            "attachments": [
                {
                    "color": "#e01e5a",
                    "blocks": [
                        {"type": "section", "text": {"text": "*one*\ntwo"}},
                        {"type": "section", "fields": [{"text": "*A*\n1"}, {"text": "*B*\n2"}]},
                        {"type": "context", "elements": [{"text": "<http://x.example/|page>"}]},
                    ],
                }
            ],
        },
        None,
    )

    assert found == message(
        text="🚨 shop answers 503 & more",
        details=("one", "two", "A: 1 · B: 2", "page http://x.example/"),
        color="#e01e5a",
        thread="1.2",
    )


def test_a_message_without_anything_is_no_trouble() -> None:
    assert read_message({}, "1.2") == message(text="", update="1.2")


async def test_the_receiver_answers_as_slack_does() -> None:
    heard: list[Message] = []
    receiver = Receiver(heard.append)
    await receiver.start()
    url = f"http://127.0.0.1:{receiver.port}/api"
    token = {"Authorization": f"Bearer {TOKEN}"}
    try:
        async with aiohttp.ClientSession() as session:
            answers = []
            for method, headers, body in [
                ("chat.postMessage", {}, {"text": "a"}),
                ("chat.postMessage", token, {"text": "b", "channel": "#on-call"}),
                ("chat.update", token, {"text": "c", "ts": "9.9"}),
                ("files.upload", token, {}),
            ]:
                async with session.post(f"{url}/{method}", json=body, headers=headers) as answer:
                    answers.append(await answer.json())
    finally:
        await receiver.close()

    assert answers[0] == {"ok": False, "error": "invalid_auth"}
    assert (answers[1]["ok"], answers[1]["channel"]) == (True, "#on-call")
    assert answers[2]["ts"] == "9.9"
    assert answers[3]["error"] == "unknown_method"
    assert [(one.text, one.update) for one in heard] == [("b", None), ("c", "9.9")]


def test_only_the_first_message_is_told_whole() -> None:
    telling, written = tell()

    telling.hear(message(text="opened", details=("what [is] wrong",), color="#e01e5a"))
    telling.hear(message(text="more", details=("not shown",), thread="1"))
    telling.hear(message(text="changed", update="1"))

    lines = written.getvalue().splitlines()
    assert [line[9:].rstrip() for line in lines] == [
        "Slack   #on-call opened",
        "        ┃ what [is] wrong",
        "Slack   ↳ more",
    ]
    assert len(telling.messages) == 3


def test_each_failure_and_each_step_is_told_once_and_what_slack_tells_is_left_to_it() -> None:
    failing = {
        "check": "api.health",
        "verdict": "fail",
        "state": "pass",
        "consecutive_failures": 2,
        "reasons": [],
    }
    opened = {"sequence": 1, "event": "opened", "text": "shop is down"}
    step = {"sequence": 2, "event": "rollback_step_done", "text": "step 1 is done"}
    status = {
        "checks": [failing, {**failing, "check": "b.health", "state": "fail"}],
        "incidents": [{"id": "i", "timeline": [opened, step]}],
    }
    telling, written = tell()

    telling.follow(status)
    telling.follow(status)
    telling.follow({})

    assert [line[9:].rstrip() for line in written.getvalue().splitlines()] == [
        "monitor api.health fails 2 times in a row: it fails",
        "monitor step 1 is done",
    ]


def test_the_bar_of_a_message_stands_beside_each_of_its_lines() -> None:
    written = io.StringIO()
    telling = Telling(Console(file=written, width=50))

    telling.hear(message(text="opened", details=("word " * 10,)))

    lines = written.getvalue().splitlines()
    assert len(lines) == 3
    assert [line.index("┃") for line in lines[1:]] == [17, 17]
