"""Many requests at once: the worst of them is what is seen, and how many were like it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from pydantic import ValidationError

from monitor.core.model.observation import Code, Fault, Observation
from monitor.probes._http.burst import BurstProbe
from monitor.probes.http import KIND
from tests.support.http_probe import make_context, make_probe, observe_burst
from tests.support.servers import Counterpart, page, serve_pages
from tests.support.verdicts import judge_health, metrics_of

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

AT = datetime(2026, 5, 4, tzinfo=UTC)


def serve_limited(most: int) -> AbstractAsyncContextManager[Counterpart]:
    """Run a shop that answers so many requests, and says of more that they are too many."""
    served = 0

    async def answer(_request: web.Request) -> web.StreamResponse:
        nonlocal served
        served += 1
        return web.Response(status=200 if served <= most else 429)

    return serve_pages({"/": answer})


async def test_a_burst_without_a_429_passes() -> None:
    async with serve_limited(20) as shop:
        seen = await observe_burst(shop.url(), 20)

    assert shop.connections == 20
    assert judge_health(seen, {"status": 200}).outcome == "pass"
    assert metrics_of(seen)['probe_http_burst_answers{code="200"}'] == 20


async def test_a_burst_with_any_429_fails_and_says_how_many() -> None:
    async with serve_limited(15) as shop:
        seen = await observe_burst(shop.url(), 20)

    verdict = judge_health(seen, {"status": 200})
    assert verdict.outcome == "fail"
    assert verdict.reasons[0].message == ("status is 429, expected 200 (5 of 20 requests at once)")
    series = metrics_of(seen)
    assert series['probe_http_burst_answers{code="200"}'] == 15
    assert series['probe_http_burst_answers{code="429"}'] == 5


async def test_that_a_limit_is_in_force_can_be_wanted_as_well() -> None:
    async with serve_limited(15) as shop:
        limited = await observe_burst(shop.url(), 20)
    async with serve_limited(100) as shop:
        unlimited = await observe_burst(shop.url(), 20)

    assert judge_health(limited, {"status": 429}).outcome == "pass"
    assert judge_health(unlimited, {"status": 429}).outcome == "fail"


async def test_all_requests_are_under_way_at_once() -> None:
    together, everybody = 0, asyncio.Event()

    async def answer(_request: web.Request) -> web.StreamResponse:
        nonlocal together
        together += 1
        if together == 10:
            everybody.set()
        await everybody.wait()
        return web.Response()

    async with serve_pages({"/": answer}) as shop:
        seen = await observe_burst(shop.url(), 10)

    assert seen.fault is None


class Saying:
    """A probe that says one thing after the other."""

    def __init__(self, *said: Observation) -> None:
        self._said = list(said)

    async def observe(self) -> Observation:
        return self._said.pop()

    async def close(self) -> None:
        pass


def answer(status: int, seconds: float = 0.1) -> Observation:
    return Observation(at=AT, duration=timedelta(seconds=seconds), status=status)


REFUSED = replace(answer(0), status=None, fault=Fault(code=Code.CONNECTION_REFUSED, message="no"))
OURS = replace(answer(0), status=None, fault=Fault(code=Code.INTERNAL, message="we", own=True))


@pytest.mark.parametrize(
    ("said", "worst", "remark"),
    [
        ([answer(200), REFUSED, answer(429)], REFUSED, "1 of 3 requests at once"),
        ([answer(429), answer(500, 5), answer(429)], answer(429), "2 of 3 requests at once"),
        ([answer(200), answer(500), answer(200)], answer(500), "1 of 3 requests at once"),
        ([answer(200), OURS, answer(503)], answer(503), "1 of 3 requests at once"),
        ([answer(200), OURS, OURS], OURS, "2 of 3 requests at once"),
        ([answer(200, 1), answer(200, 3), answer(204, 2)], answer(200, 3), "2 of 3"),
    ],
    ids=["a fault", "429 before 500", "500", "500 before our own", "our own", "the slowest"],
)
async def test_the_worst_answer_is_what_is_seen(
    said: list[Observation], worst: Observation, remark: str
) -> None:
    probe = Saying(*said)
    seen = await BurstProbe(probe, probe, 3).observe()

    assert seen.status == worst.status
    assert seen.duration == worst.duration
    assert remark in seen.remark
    assert (seen.fault is None) == (worst.fault is None)
    if seen.fault is not None and worst.fault is not None:
        assert seen.fault.own is worst.fault.own
        assert seen.fault.message == f"{worst.fault.message} ({remark})"


async def test_what_a_preflight_said_is_known_whichever_answer_is_the_worst() -> None:
    first = replace(answer(200), preflight=(("X-Way", "OPTIONS"),))
    seen = await BurstProbe(Saying(first), Saying(answer(500)), 2).observe()

    assert seen.status == 500
    assert seen.preflight == first.preflight


async def test_a_preflight_is_asked_once_for_all() -> None:
    methods: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        methods.append(request.method)
        return web.Response(headers={"X-Way": request.method})

    async with serve_pages({"/": answer}) as shop:
        seen = await observe_burst(shop.url(), 5, preflight=True)

    assert methods.count("GET") == 5
    assert methods.count("OPTIONS") == 1
    assert ("X-Way", "OPTIONS") in (seen.preflight or ())


async def test_who_is_cancelled_ends_all_of_them() -> None:
    async def slow(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    async with serve_pages({"/": slow}) as shop:
        options = KIND.options.model_validate({"url": shop.url(), "request": {"burst": 5}})
        task = asyncio.create_task(KIND.make(options, make_context()).observe())
        async with asyncio.timeout(5):
            while shop.connections < 5:
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert not [task for task in asyncio.all_tasks() if "observe" in repr(task.get_coro())]


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        ({"burst": 1}, "greater than or equal to 2"),
        ({"burst": 101}, "less than or equal to 100"),
        ({"burst": 100, "body_limit": "2MiB"}, "lower body_limit or burst"),
    ],
)
def test_a_burst_is_bounded(request_: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_probe("https://shop.test/", **request_)  # type: ignore[arg-type]  # what a table says

    assert complaint in caught.value.errors()[0]["msg"]


async def test_a_plain_request_says_nothing_of_bursts() -> None:
    async with serve_pages({"/": page(status=500)}) as shop:
        options = KIND.options.model_validate({"url": shop.url()})
        seen = await KIND.make(options, make_context()).observe()

    assert judge_health(seen).reasons[0].message == "status is 500, expected 2xx"
    assert not seen.measures
