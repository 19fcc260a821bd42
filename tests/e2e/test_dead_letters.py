"""What a receiver refuses: told by another, shown, and told once more when people say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.program import daemon, run
from tests.support.receiver import answers, serve_receiver
from tests.support.street import Street, open_street, until_passing, write_config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.receiver import Receiver

ANYWHERE = {"PORT": "1"}


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with open_street(tmp_path) as opened:
        yield opened


def configure(folder: Path, street: Street, **receivers: str) -> None:
    """Let the pager be told of everything, and the chat of what the pager is not told of."""
    write_config(
        folder,
        street,
        {},
        endpoints={"shop": {"url": street.url("shop")}},
        notifiers={name: {"webhook": {"url": url}} for name, url in receivers.items()},
        routes=[{"notify": "pager", "fallback": "chat"}],
    )


def told(receiver: Receiver) -> list[tuple[str, str]]:
    return [(one.json["event"], one.json["text"].splitlines()[0]) for one in receiver.received]


def backlog(status: dict[str, Any], name: str) -> dict[str, Any]:
    [found] = [one for one in status["notifiers"] if one["notifier"] == name]

    return dict(found)


async def test_a_refused_notice_is_told_by_the_fallback_and_once_more_when_people_say_so(
    street: Street, tmp_path: Path
) -> None:
    async with serve_receiver(then=answers(404, "no_service")) as pager, serve_receiver() as chat:
        configure(tmp_path, street, pager=pager.url(), chat=chat.url())
        async with daemon(tmp_path) as running:
            await until_passing(running)
            street["shop"].broken = True
            await chat.wait_for(1)
            status = await running.until(lambda status: backlog(status, "pager")["dead_letters"])
            refused = await running.metric(
                "notification_failures_total", notifier="pager", reason="refused"
            )
            shown = await run("status", cwd=tmp_path, environ=ANYWHERE)
            _, page = await running.get("/")

            pager.then = answers()
            unknown = await run("notify", "requeue", "chatt", cwd=tmp_path, environ=ANYWHERE)
            again = await run("notify", "requeue", "pager", cwd=tmp_path, environ=ANYWHERE)
            await pager.wait_for(2)
            street["shop"].broken = False
            await pager.wait_for(3)
            await chat.wait_for(2)
            left = await run("notify", "requeue", "pager", cwd=tmp_path, environ=ANYWHERE)
            said = running.said()

    assert [event for event, _ in told(chat)] == ["opened", "resolved"]
    assert told(chat)[0][1].endswith("(pager could not be told)")
    assert [event for event, _ in told(pager)] == ["opened", "opened", "resolved"]
    first, second, _ = [one.headers["idempotency-key"] for one in pager.received]
    assert first == second
    assert (status["given_up"], refused) == (1, 1)
    assert "pager: 1 notice refused (notify requeue pager)" in shown.out
    assert "pager: 1 refused" in page
    assert "notice_undeliverable" in said
    assert (again.code, again.out) == (0, "pager: 1 notice queued again\n")
    assert left.out == "pager: 0 notices queued again\n"
    assert unknown.code == 2
    assert "notifier 'chatt' is not in the configuration; did you mean chat?" in unknown.err


async def test_dead_letters_are_told_once_more_by_the_next_run(
    street: Street, tmp_path: Path
) -> None:
    quick = ("--cycles", "3", "--every", "20ms")
    street["shop"].broken = True
    async with (
        serve_receiver(then=answers(410)) as pager,
        serve_receiver(then=answers(410)) as chat,
    ):
        configure(tmp_path, street, pager=pager.url(), chat=chat.url())
        await run(*quick, cwd=tmp_path, environ=ANYWHERE)
        refused = len(pager.received)
        pager.then = answers()
        again = await run("notify", "requeue", "pager", cwd=tmp_path, environ=ANYWHERE)
        await run(*quick, cwd=tmp_path, environ=ANYWHERE)

    assert refused == 1
    assert again.out == "pager: 1 notice queued again\n"
    assert "written to the store, for the next run" in again.err
    assert [event for event, _ in told(pager)] == ["opened", "opened"]
