"""A receiver that is replaced before it could be told: what it was to hear is told nevertheless."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.program import daemon
from tests.support.receiver import answers, serve_receiver
from tests.support.street import Street, open_street, until_passing, write_config
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.receiver import Receiver


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with open_street(tmp_path) as opened:
        yield opened


def configure(folder: Path, street: Street, **receivers: str) -> None:
    write_config(
        folder,
        street,
        {},
        endpoints={"shop": {"url": street.url("shop")}},
        notifiers={name: {"webhook": {"url": url}} for name, url in receivers.items()},
    )


def heard(receiver: Receiver) -> list[str]:
    return [one.json["event"] for one in receiver.received]


@pytest.mark.parametrize("status", [503, 404])
async def test_who_replaces_a_receiver_that_could_not_be_told_is_told_what_is_open(
    street: Street, tmp_path: Path, status: int
) -> None:
    async with (
        serve_receiver(then=answers(status)) as pager,
        serve_receiver() as pager2,
        serve_receiver() as events,
    ):
        configure(tmp_path, street, pager=pager.url(), events=events.url())
        async with daemon(tmp_path) as running:
            await until_passing(running)
            street["shop"].broken = True
            await pager.wait_for(1)
            await events.wait_for(1)
            configure(tmp_path, street, pager2=pager2.url(), events=events.url())
            running.hang_up()
            await pager2.wait_for(1)
            running.hang_up()
            await until(lambda: running.said().count(" reloaded ") == 2)
            street["shop"].broken = False
            await pager2.wait_for(2)
            await events.wait_for(2)

    assert heard(pager2) == heard(events) == ["opened", "resolved"]
