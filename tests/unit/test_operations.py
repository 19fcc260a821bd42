"""Acts of people: a deploy marker, what is taken, refused and when it is durable; and a test."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from monitor import operations
from monitor.core.model.changes import Changes
from monitor.core.model.deploy import DeployKind, DeployState
from monitor.core.model.notice import TryAgain
from monitor.core.model.service import Service
from monitor.core.outbox import Why
from monitor.operations import DeployMarker, Desk, OperationError, read_marker
from monitor.operations.notices import try_notifier
from monitor.store import StoreError
from monitor.store.journal import Journal
from tests.support.notices import NOON, ScriptedNotifier
from tests.support.watching import at, make_directory, make_story

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SHOP = {"service": "shop", "version": "1.5"}


def test_a_marker_with_service_and_version_is_a_finished_planned_deploy() -> None:
    assert read_marker(SHOP) == DeployMarker(
        service="shop",
        version="1.5",
        id=None,
        commit=None,
        kind=DeployKind.PLANNED,
        state=DeployState.FINISHED,
    )


def test_a_marker_may_say_more() -> None:
    marker = read_marker(
        {**SHOP, "id": " run-7 ", "commit": "abc", "kind": "hotfix", "state": "started"}
    )

    assert (marker.id, marker.commit) == ("run-7", "abc")
    assert (marker.kind, marker.state) == (DeployKind.HOTFIX, DeployState.STARTED)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        pytest.param({}, "expected a service and a version", id="nothing"),
        pytest.param({"service": "shop"}, "expected a service and a version", id="no version"),
        pytest.param({**SHOP, "version": ""}, "expected a service and a version", id="empty"),
        pytest.param({**SHOP, "version": 7}, "version: expected a text of 1 to 200", id="a number"),
        pytest.param({**SHOP, "version": " "}, "version: expected a text of 1 to 200", id="blank"),
        pytest.param({**SHOP, "version": "v" * 201}, "version: expected a text of 1", id="long"),
        pytest.param({**SHOP, "service": ["shop"]}, "service: expected a text", id="a list"),
        pytest.param({**SHOP, "commit": "a\nb"}, "commit: expected printable", id="two lines"),
        pytest.param({**SHOP, "id": "\x1b[31m"}, "id: expected printable", id="colours"),
        pytest.param(
            {**SHOP, "kind": "undo"},
            "kind: expected one of planned, hotfix, rollback, found 'undo'",
            id="a kind that is none",
        ),
        pytest.param(
            {**SHOP, "state": "certified"},
            "state: expected one of started, finished, failed, found 'certified'",
            id="a state that only the monitor gives",
        ),
        pytest.param({**SHOP, "kind": {}}, "kind: expected one of", id="an object"),
        pytest.param({**SHOP, "verison": "1"}, "verison: unknown key, expected one", id="a typo"),
        pytest.param({**SHOP, "a\nb": "1"}, r"'a\nb': unknown key", id="a key of two lines"),
    ],
)
def test_what_is_no_marker_is_refused_in_one_short_line(raw: dict[str, Any], said: str) -> None:
    with pytest.raises(OperationError) as refused:
        read_marker(raw)

    message = str(refused.value)
    assert message.startswith(said)
    assert message.isprintable()
    assert len(message) < 250


def test_a_refusal_does_not_repeat_a_flood() -> None:
    for raw in (
        {**SHOP, "k" * 50_000: 1},
        {**SHOP, "id": "v" * 50_000},
        {**SHOP, "kind": "k" * 9999},
    ):
        with pytest.raises(OperationError) as refused:
            read_marker(raw)

        assert len(str(refused.value)) < 250


class Disk:
    """A store that keeps what it is given, or fails; it waits for its turn."""

    def __init__(self) -> None:
        self.kept = Changes()
        self.error: Exception | None = None
        self.turn = asyncio.Event()
        self.turn.set()

    async def commit(self, changes: Changes) -> None:
        await self.turn.wait()
        if self.error is not None:
            raise self.error
        self.kept += changes


async def announce(disk: Disk, marker: DeployMarker, *, story: Any = None) -> dict[str, Any]:
    story = story or make_story(directory=make_directory(Service(name="batch-jobs")))
    journal = Journal(disk.commit)
    try:
        desk = Desk(engine=story.engine, journal=journal, record=journal.soon, clock=lambda: at(0))
        return await operations.announce_deploy(marker, desk)
    finally:
        disk.error = None
        await journal.close()


async def test_a_deploy_is_durable_before_it_is_confirmed() -> None:
    disk = Disk()

    told = await announce(disk, DeployMarker(service="shop", version="1.5", commit="abc"))

    assert [deploy.version for deploy in disk.kept.deploys] == ["1.5"]
    assert (told["service"], told["version"], told["commit"]) == ("shop", "1.5", "abc")
    assert (told["state"], told["kind"]) == ("finished", "planned")


async def test_the_newest_of_one_version_is_given() -> None:
    story = make_story()
    disk = Disk()
    await announce(disk, DeployMarker(service="shop", version="1.5", id="one"), story=story)

    told = await announce(
        disk,
        DeployMarker(service="shop", version="1.5", id="one", state=DeployState.FAILED),
        story=story,
    )

    assert (told["id"], told["state"]) == ("one", "failed")


async def test_a_service_without_endpoints_can_be_deployed() -> None:
    told = await announce(Disk(), DeployMarker(service="batch-jobs", version="2"))

    assert told["service"] == "batch-jobs"


@pytest.mark.parametrize(
    ("service", "hint"), [("shopp", "; did you mean shop?"), ("elsewhere", "configuration")]
)
async def test_a_service_that_nobody_has_is_refused(service: str, hint: str) -> None:
    with pytest.raises(OperationError) as refused:
        await announce(Disk(), DeployMarker(service=service, version="1"))

    assert str(refused.value).startswith(f"service '{service}' is not in the configuration")
    assert str(refused.value).endswith(hint)


async def test_what_was_never_begun_cannot_have_failed() -> None:
    with pytest.raises(OperationError) as refused:
        await announce(Disk(), DeployMarker(service="shop", version="9", state=DeployState.FAILED))

    assert "no such deploy is known" in str(refused.value)


async def test_a_store_that_fails_is_said_and_not_confirmed() -> None:
    disk = Disk()
    disk.error = StoreError("disk full")

    with pytest.raises(StoreError) as failed:
        await announce(disk, DeployMarker(service="shop", version="1.5"))

    assert str(failed.value) == "disk full"


async def _acknowledge(id: str, desk: Desk) -> object:
    return await operations.acknowledge(id, "ana", desk)


async def _resolve(id: str, desk: Desk) -> object:
    return await operations.resolve(id, "ana", "", desk)


async def _open(_id: str, desk: Desk) -> object:
    return await operations.open_incident("batch-jobs", "nothing runs", "ana", desk)


async def _silence(_id: str, desk: Desk) -> object:
    return await operations.add_silence(("shop",), at(600), "ana", desk)


@pytest.mark.parametrize("act", [_acknowledge, _resolve, _open, _silence])
async def test_whoever_does_it_again_is_told_no_sooner_than_it_is_durable(
    act: Callable[[str, Desk], Awaitable[object]],
) -> None:
    """Two clicks at once: the second finds it done, and a crash would make a lie of that."""
    story = make_story(directory=make_directory(Service(name="batch-jobs")))
    disk = Disk()
    journal = Journal(disk.commit)
    desk = Desk(engine=story.engine, journal=journal, record=journal.soon, clock=lambda: at(0))
    opened = await operations.open_incident("shop", "it burns", "ana", desk)

    disk.turn.clear()
    clicks = [asyncio.ensure_future(act(opened["id"], desk)) for _ in range(2)]
    for _ in range(20):
        await asyncio.sleep(0)
    told = [click.done() for click in clicks]
    disk.turn.set()
    first, second = await asyncio.gather(*clicks)
    await journal.close()

    assert told == [False, False]
    assert first == second


def test_the_status_has_a_verdict() -> None:
    story = make_story()
    story.sees(200)

    assert operations.report_status(story.engine, story.now)["verdict"] == "pass"


async def test_a_test_that_meets_an_unknown_authority_says_which_kinds_take_one() -> None:
    receiver = ScriptedNotifier(then=TryAgain(reason=Why.TLS, error="it is not trusted"))

    tried = await try_notifier("mail", receiver, make_directory(), NOON)

    assert not tried.delivered
    assert "`email` and `alertmanager` take it as `ca_file`" in tried.hint
