"""A workflow of Teams over real sockets: cards without markup, small enough."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from monitor.core.model.notice import (
    Delivered,
    Earlier,
    NoticeEvent,
    Refused,
    TryAgain,
)
from monitor.notifiers.teams import TeamsNotifier, TeamsOptions
from tests.support.notices import (
    make_context,
    make_delivery,
    make_endless_notice,
    make_member,
    make_notice,
)
from tests.support.teams import SIGNATURE, FakeTeams, serve_teams, texts_of

NASTY = "**bold** [click](https://evil.example) <at>everyone</at> - list\n# heading"


def make(teams: FakeTeams, **options: Any) -> TeamsNotifier:
    given = {"webhook_url": teams.webhook_url, "timeout": "2s", **options}

    return TeamsNotifier(TeamsOptions.model_validate(given), make_context())


async def test_the_first_two_lines_say_what_and_since_when() -> None:
    async with serve_teams() as teams:
        receipt = await make(teams).deliver(make_delivery(), Earlier())

    [card] = teams.cards
    first, second, *_ = texts_of(card)
    assert receipt == Delivered()
    assert first == (
        "\U0001f6a8 shop answers 500, expected 2xx, for 2 min (api.health, 5 times in a row)"
    )
    assert second.startswith("Since 2026-07-01 12:00:00 UTC (2 min), severity high.")
    assert card["body"][0]["style"] == "attention"
    assert card["actions"] == [
        {"type": "Action.OpenUrl", "title": "runbook", "url": "https://wiki.example/shop"}
    ]


async def test_an_end_is_green_and_an_update_tells_the_news() -> None:
    news = make_notice(NoticeEvent.UPDATED, headline="shop: home.health fails as well")
    async with serve_teams() as teams:
        await make(teams).deliver(make_delivery(news), Earlier())
        await make(teams).deliver(make_delivery(make_notice(NoticeEvent.RESOLVED)), Earlier())

    assert "home.health fails as well" in texts_of(teams.cards[0])[0]
    assert teams.cards[1]["body"][0]["style"] == "good"


async def test_what_a_target_says_stands_where_nothing_is_markup() -> None:
    notice = make_notice(headline=NASTY, members=(make_member(reason=NASTY),), description=NASTY)
    async with serve_teams() as teams:
        await make(teams).deliver(make_delivery(notice), Earlier())

    # The stand-in takes TextRuns alone, which are shown as they are; nobody is an entity.
    assert "[click](https://evil.example)" in texts_of(teams.cards[0])[0]
    assert "entities" not in teams.cards[0]["msteams"]


@pytest.mark.parametrize("letter", ["x", '"', "\u20ac", "\U0001f600"])
async def test_the_longest_notice_is_small_enough(letter: str) -> None:
    async with serve_teams() as teams:
        receipt = await make(teams).deliver(make_delivery(make_endless_notice(letter)), Earlier())

    assert receipt == Delivered()
    assert max(teams.sizes) <= 28_000


@pytest.mark.parametrize("status", [200, 202])
async def test_what_is_accepted_is_delivered(status: int) -> None:
    async with serve_teams() as teams:
        teams.fail(status, "1" if status == 200 else "")
        assert await make(teams).deliver(make_delivery(), Earlier()) == Delivered()


async def test_an_answer_of_200_that_says_otherwise_is_tried_again() -> None:
    said = (
        "Webhook message delivery failed with error: Microsoft Teams endpoint returned "
        "HTTP error 429 with ContextId tcid=0"
    )
    async with serve_teams() as teams:
        teams.fail(200, said)
        receipt = await make(teams).deliver(make_delivery(), Earlier())

    assert isinstance(receipt, TryAgain)
    assert receipt.reason == "rate_limited"


async def test_its_wish_to_wait_is_heard() -> None:
    async with serve_teams() as teams:
        teams.fail(429, "", retry_after="17")
        receipt = await make(teams).deliver(make_delivery(), Earlier())

    assert isinstance(receipt, TryAgain)
    assert receipt.after == timedelta(seconds=17)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413])
async def test_what_is_refused_is_so_for_good_and_shows_no_secret(status: int) -> None:
    async with serve_teams() as teams:
        teams.fail(status, f"WorkflowNotFound {teams.webhook_url} {SIGNATURE}")
        receipt = await make(teams).deliver(make_delivery(), Earlier())

    assert isinstance(receipt, Refused)
    assert SIGNATURE not in receipt.error


async def test_the_examination_sends_nothing() -> None:
    async with serve_teams() as teams:
        assert "nothing was sent" in await make(teams).examine()

    assert teams.cards == []
