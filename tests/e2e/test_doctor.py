"""`doctor`: everything that will be needed is tried, nothing fired, and what is wrong told."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.authority import Authority
from tests.support.program import daemon, run
from tests.support.receiver import serve_receiver
from tests.support.servers import page, serve_pages, unused_port
from tests.support.slack import TOKEN, serve_slack

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.program import Ended


def write(folder: Path, **sections: Any) -> None:
    port = unused_port()
    known = {"web": {"listen": f"127.0.0.1:{port}"}, **sections}
    (folder / "monitor.yml").write_text(yaml.safe_dump(known))


def findings(ended: Ended) -> dict[tuple[str, str], tuple[str, str]]:
    """Give the health and the text of each finding, by its part and its name."""
    return {
        (one["part"], one["name"]): (one["health"], one["text"]) for one in ended.json()["findings"]
    }


async def test_all_is_well_where_everything_can_be_reached(tmp_path: Path) -> None:
    async with (
        serve_pages({"/": page(b"fine")}) as site,
        serve_slack() as slack,
        serve_receiver() as receiver,
    ):
        write(
            tmp_path,
            endpoints={"shop": site.url()},
            witnesses=[{"tcp": f"127.0.0.1:{site.port}"}],
            notifiers={
                "bot": {
                    "slack": {"token": TOKEN, "channel": "#on-call", "base_url": slack.base_url}
                },
                "channel": {"slack": {"webhook_url": slack.webhook_url}},
                "ops": {"webhook": {"url": receiver.url()}},
                "log": {"log": {}},
            },
            services={
                "shop": {
                    "rollback": {
                        "steps": [{"command": ["true"]}, {"webhook": {"url": receiver.url()}}]
                    }
                }
            },
        )
        ended = await run("doctor", "--output", "json", cwd=tmp_path)
        told = await run("doctor", cwd=tmp_path)

    found = findings(ended)
    assert ended.code == 0, ended.out
    assert found["endpoint", "shop"][1].startswith("answers 200 in ")
    token = "the token is that of monitor in Acme, to write to #on-call"
    assert found["notifier", "bot"] == ("ok", token)
    assert found["notifier", "ops"][1].endswith("accepts connections; nothing was sent")
    assert found["rollback", "shop, step 2"][0] == "ok"
    assert found["witness", f"127.0.0.1:{site.port}"] == ("ok", "answers")
    assert slack.messages == []
    assert receiver.received == []
    assert not (tmp_path / ".production-monitor").exists()
    assert told.code == 0
    assert told.out.endswith("all is well\n")
    assert TOKEN not in told.out + ended.out


async def test_each_thing_that_cannot_be_used_is_told_and_none_hides_another(
    tmp_path: Path,
) -> None:
    gone = unused_port()
    async with serve_slack() as slack:
        write(
            tmp_path,
            endpoints={"shop": f"http://127.0.0.1:{gone}/"},
            witnesses=[{"tcp": f"127.0.0.1:{gone}"}],
            notifiers={
                "bot": {
                    "slack": {
                        "token": "xoxb-wrong-canary",
                        "channel": "#on-call",
                        "base_url": slack.base_url,
                    }
                },
                "ops": {"webhook": {"url": f"http://127.0.0.1:{gone}/hook"}},
            },
        )
        ended = await run("doctor", "--output", "json", cwd=tmp_path)

    found = findings(ended)
    refused = f"127.0.0.1:{gone}"
    assert ended.code == 1
    assert ended.json()["health"] == "broken"
    assert found["endpoint", "shop"] == ("broken", f"{refused} refused the connection")
    assert found["notifier", "bot"] == ("broken", "Slack says invalid_auth")
    unreachable = f"{refused} cannot be reached: connection refused"
    assert found["notifier", "ops"] == ("broken", unreachable)
    assert found["witness", refused] == ("broken", "does not answer")


async def test_what_would_fail_is_a_warning_and_what_may_change_something_is_not_asked(
    tmp_path: Path,
) -> None:
    async with serve_pages({"/": page(b"no", status=500)}) as site:
        write(
            tmp_path,
            endpoints={
                "shop": site.url(),
                "orders": {"url": site.url(), "request": {"method": "POST"}},
            },
        )
        ended = await run("doctor", "--output", "json", cwd=tmp_path)

    found = findings(ended)
    assert ended.code == 3
    assert found["endpoint", "shop"][0] == "warning"
    assert found["endpoint", "shop"][1].endswith("; shop.health: status is 500, expected 2xx")
    assert found["endpoint", "orders"][0] == "skipped"
    assert found["witness", "-"][0] == "warning"
    assert site.connections == 1


async def test_a_certificate_that_nobody_trusts_and_a_port_that_is_taken_are_told(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with serve_pages({"/": page()}, tls=authority.context()) as site:
            write(
                tmp_path,
                endpoints={"shop": site.url(host="localhost")},
                notifiers={"ops": {"webhook": {"url": site.url(host="localhost")}}},
                web={"listen": f"127.0.0.1:{port}"},
            )
            ended = await run("doctor", "--output", "json", cwd=tmp_path)

    found = findings(ended)
    assert ended.code == 1
    assert "is not trusted" in found["notifier", "ops"][1]
    assert found["endpoint", "shop"][0] == "broken"
    assert found["web", f"127.0.0.1:{port}"] == ("broken", "another program listens there")


async def test_beside_a_monitor_that_runs_its_store_and_its_port_are_left_to_it(
    tmp_path: Path,
) -> None:
    async with serve_pages({"/": page()}) as site:
        write(tmp_path, endpoints={"shop": site.url()}, web={"listen": "127.0.0.1:${PORT}"})
        async with daemon(tmp_path) as running:
            environ = {"PORT": str(running.port)}
            ended = await run("doctor", "--output", "json", cwd=tmp_path, environ=environ)

    found = {part: said for (part, _), said in findings(ended).items()}
    assert found["store"][1].startswith("in use by production-monitor")
    assert found["web"] == ("skipped", "left to the monitor that runs")


async def test_a_command_is_not_run_by_the_way(tmp_path: Path) -> None:
    write(tmp_path, endpoints={"drop": {"command": ["touch", str(tmp_path / "ran")]}})

    ended = await run("doctor", "--output", "json", cwd=tmp_path)

    assert findings(ended)["endpoint", "drop"] == (
        "skipped",
        "not asked, since that may change something there: "
        "`production-monitor probe drop` asks once",
    )
    assert not (tmp_path / "ran").exists()
