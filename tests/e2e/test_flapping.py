"""What fails and recovers all the time, over runs from cron as people set them up."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from aiohttp import web

from tests.support.program import run
from tests.support.receiver import serve_app, serve_receiver

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
defaults: {failure_threshold: 1, success_threshold: 1}
endpoints: {shop: "http://127.0.0.1:%d/"}
notifiers: {events: {webhook: {url: "%s"}}}
"""


async def test_people_are_told_once_that_it_flaps_whichever_run_sees_it(tmp_path: Path) -> None:
    statuses = cycle([500, 200])

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=next(statuses))

    app = web.Application()
    app.router.add_get("/", answer)
    async with serve_app(app) as port, serve_receiver() as receiver:
        (tmp_path / "monitor.yml").write_text(CONFIG % (port, receiver.url()))
        for rounds in (10, 10, 10):
            await run("--cycles", str(rounds), "--every", "20ms", cwd=tmp_path)
        status = await run("status", cwd=tmp_path)

    # an opening that was not told yet when it was over is told with its end
    notices = [one.json for one in receiver.received]
    flapping = [one for one in notices if "flapping" in one["text"].split("\n")[0]]
    assert len({one["incident"] for one in notices}) == 7
    assert [one["event"] for one in flapping] == ["opened"]
    assert flapping[0]["checks"][0]["flapping"]["openings"] == 7
    assert flapping[0] == [one for one in notices if one["event"] == "opened"][-1]
    assert [one["event"] for one in notices].count("resolved") == 6
    assert "shop.health  flapping, failed 15 times since" in status.out
