"""Incidents and silences over HTTP: who may act, what is refused, and what the pages show."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from monitor.core.model.changes import Changes
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import Incident, IncidentClass, IncidentPhase, TimelineEntry
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WHO = "ana"
OPERATE, DEPLOY, READ = "operate-token-1", "deploy-token-1", "read-token-123"
TOKENS = (
    f"tokens: [{{name: {WHO}, scope: operate, token: {OPERATE}}}, "
    f"{{name: ci, scope: deploy, token: {DEPLOY}}}, {{name: eyes, scope: read, token: {READ}}}]"
)
BROKEN = "  broken: {url: 'http://127.0.0.1:1/', service: shop}\n"
HOSTILE = "<script>alert(1)</script> [x](http://evil.example) \u202egnp.exe"


@pytest.fixture
async def failing(serve: Any) -> AsyncIterator[Any]:
    """Serve a monitor with one open incident of the service `shop`."""
    async with serve(web=TOKENS, more=BROKEN) as served:
        await until(served.monitor.engine.situation.open_incidents)
        yield served


def opened(served: Any) -> Incident:
    (incident,) = served.monitor.engine.situation.open_incidents()
    assert isinstance(incident, Incident)

    return incident


async def post(served: Any, path: str, body: object, token: str = OPERATE) -> tuple[int, Any]:
    status, text, _ = await served.ask("POST", f"/api/v1/{path}", token, json=body)

    return status, json.loads(text)


async def test_an_act_answers_with_the_incident_and_is_done_once(failing: Any) -> None:
    incident = opened(failing)
    first = await post(failing, f"incidents/{incident.id}/ack", {})
    second = await post(failing, "incidents/shop/ack", {})
    bare, _, _ = await failing.ask("POST", f"/api/v1/incidents/{incident.id}/ack", OPERATE)
    _, listed, _ = await failing.ask("GET", "/api/v1/incidents?open=true&service=shop")

    assert first == second
    assert first[0] == bare == 200
    assert first[1]["acknowledged"]["by"] == WHO
    assert [one["event"] for one in first[1]["timeline"]] == ["opened", "acknowledged"]
    assert [one["id"] for one in json.loads(listed)["incidents"]] == [incident.id]
    assert "timeline" not in json.loads(listed)["incidents"][0]


@pytest.mark.parametrize(("token", "code"), [("", 401), ("wrong", 401), (READ, 403), (DEPLOY, 403)])
async def test_only_who_operates_may_act(failing: Any, token: str, code: int) -> None:
    answers = [
        await failing.ask(method, f"/api/v1/{path}", token, json={})
        for method, path in (
            ("POST", "incidents"),
            ("POST", "incidents/shop/ack"),
            ("POST", "incidents/shop/note"),
            ("POST", "incidents/shop/resolve"),
            ("POST", "incidents/shop/label"),
            ("POST", "silences"),
            ("DELETE", "silences/x"),
        )
    ]

    assert [status for status, _, _ in answers] == [code] * 7
    assert all(json.loads(text)["error"] for _, text, _ in answers)
    assert opened(failing).acknowledgement is None


REFUSED: list[tuple[str, Any, int, str]] = [
    ("incidents/nothing/ack", {}, 404, "there is no incident 'nothing'"),
    ("incidents/%00%0a/ack", {}, 404, r"there is no incident '\x00\n'"),
    ("incidents/shop/ack", {"by": "root"}, 422, "by: unknown key"),
    ("incidents/shop/note", {}, 422, "text: expected a text, found NoneType"),
    ("incidents/shop/note", {"text": 7}, 422, "text: expected a text, found int"),
    ("incidents/shop/note", {"text": " \n "}, 422, "note: expected a text of 1 to 2000"),
    ("incidents/shop/note", {"text": "x" * 2001}, 422, "note: expected a text of 1 to 2000"),
    ("incidents/shop/note", {"text": "\x1b[2J"}, 422, "note: expected printable characters"),
    ("incidents/shop/note", {"text": HOSTILE}, 422, "note: expected printable characters"),
    ("incidents/shop/note", {"text": "\ud800"}, 422, "note: expected printable characters"),
    ("incidents/shop/note", {"text": "x" * 1_000_000}, 413, ""),
    ("incidents/shop/note", {"text": "x", "phase": "over"}, 422, "phase: expected one of"),
    ("incidents/shop/note", {"text": "x", "phase": "resolved"}, 422, "phase: an incident is over"),
    ("incidents/shop/resolve", {"reason": ["x"]}, 422, "reason: expected a text"),
    ("incidents/shop/label", {"labels": "x"}, 422, "labels: expected a list of texts"),
    ("incidents/shop/label", {"labels": ["x"] * 21}, 422, "expected at most 20 labels"),
    ("incidents", {"service": "shpo", "title": "x"}, 422, "did you mean shop?"),
    ("incidents", {"service": "shop", "title": "x"}, 422, "has an open outage already"),
    ("incidents", {"service": "shop", "title": "x", "severity": "!"}, 422, "severity: expec"),
    ("silences", {"services": ["shop"]}, 422, "expected either minutes or until"),
    ("silences", {"services": ["x"], "minutes": 5}, 422, "service 'x' is not in the config"),
    ("silences", {"minutes": 43_201}, 422, "minutes: expected at most 30 days"),
    ("silences", {"minutes": True}, 422, "minutes: expected a number"),
    ("silences", {"minutes": -1}, 422, "minutes: expected at most"),
    ("silences", {"until": "2026-01-01T00:00"}, 422, "until: expected a time with its zone"),
    ("silences", {"until": "2020-01-01T00:00Z"}, 422, "expected a silence that ends within"),
    ("silences", {"until": "soon"}, 422, "until: expected a time such as"),
    ("silences", {"minutes": 5, "severities": ["bad"]}, 422, "severities: expected one of"),
]


async def test_what_cannot_be_done_is_said_in_words(failing: Any) -> None:
    before = opened(failing)
    for path, body, code, said in REFUSED:
        status, found = await post(failing, path, body)

        assert (status, said in found["error"]) == (code, True), (path, body, found)
        assert len(found["error"]) < 500
        assert found["error"].isprintable()
    assert opened(failing) == before


async def test_a_secret_in_a_note_is_masked(serve: Any, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2-hunter2")
    web = f"tokens: [{{name: ana, scope: operate, token: '${{file:{tmp_path}/key}}'}}]"
    async with serve(web=web, more=BROKEN) as served:
        await until(served.monitor.engine.situation.open_incidents)
        _, found = await post(
            served, "incidents/shop/note", {"text": "use hunter2-hunter2"}, "hunter2-hunter2"
        )

    assert found["timeline"][-1]["text"] == "use ***"


async def test_a_silence_is_added_listed_and_ended(failing: Any) -> None:
    _, added = await post(failing, "silences", {"services": ["shop"], "minutes": 5, "reason": "x"})
    _, listed, _ = await failing.ask("GET", "/api/v1/silences")
    gone, text, _ = await failing.ask("DELETE", f"/api/v1/silences/{added['id']}", OPERATE)
    unknown, _, _ = await failing.ask("DELETE", "/api/v1/silences/nothing", OPERATE)
    _, after, _ = await failing.ask("GET", "/api/v1/silences")

    assert added["by"] == WHO
    assert json.loads(listed) == {"silences": [added]}
    assert (gone, json.loads(text)["removed_by"]) == (200, WHO)
    assert unknown == 404
    assert json.loads(after) == {"silences": []}


async def test_the_command_line_on_the_socket_says_who_sits_there(
    failing: Any, tmp_path: Path
) -> None:
    url = "http://localhost/api/v1/incidents/shop/note"
    async with aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(str(tmp_path / "control.sock"))
    ) as session:
        names = []
        for headers in ({"X-Acting-User": "ana@desk"}, {"X-Acting-User": "a" * 101}, {}):
            async with session.post(url, json={"text": "x"}, headers=headers) as answer:
                names.append((await answer.json())["timeline"][-1]["actor"])
    _, found = await post(failing, "incidents/shop/note", {"text": "over the network"})
    forged, text, _ = await failing.ask(
        "POST",
        "/api/v1/incidents/shop/note",
        OPERATE,
        json={"text": "x"},
        headers={"X-Acting-User": "root@desk"},
    )

    assert names[0] == "ana@desk"
    assert names[1] == names[2]
    assert names[1].startswith("root@")
    assert found["timeline"][-1]["actor"] == WHO
    assert (forged, json.loads(text)["timeline"][-1]["actor"]) == (200, WHO)


async def test_the_public_reads_nothing_that_people_wrote_and_no_evidence(serve: Any) -> None:
    web = f"open: [public]\n  {TOKENS}"
    async with serve(web=web, listen="0.0.0.0:0", more=BROKEN) as served:
        await until(served.monitor.engine.situation.open_incidents)
        incident = opened(served)
        secrets = ["between us", "from the log", f"by {WHO}", f"{WHO} ", "capacity", "a new disk"]
        await post(served, "incidents/shop/note", {"text": secrets[0]})
        await post(served, "incidents/shop/ack", {})
        await post(served, "incidents/shop/label", {"labels": ["capacity"]})
        await post(served, "silences", {"services": ["shop"], "minutes": 5, "reason": "a new disk"})
        entry = TimelineEntry(
            incident=incident.id,
            sequence=opened(served).sequence + 1,
            at=served.monitor.now(),
            actor="monitor",
            event="evidence",
            text="last logs",
            evidence="from the log",
        )
        served.monitor.engine.situation.apply(Changes(timeline=(entry,)))
        await until(lambda: opened(served).attention.hold)
        pages = [
            (await served.ask("GET", path))[:2]
            for path in ("/", f"/incidents/{incident.id}", "/services/shop")
        ]
        closed, _, _ = await served.ask("GET", f"/api/v1/incidents/{incident.id}")

    assert closed == 401
    for code, page in pages:
        assert code == 200
        assert incident.id in page
        assert "broken.health" in page
        assert not [secret for secret in secrets if secret in page]


async def test_what_is_too_old_for_memory_is_found_in_the_store(failing: Any) -> None:
    monitor = failing.monitor
    now = monitor.now()
    old = Incident(
        id="shop-outage-19990101T000000Z",
        service="shop",
        klass=IncidentClass.OUTAGE,
        severity=Severity.HIGH,
        phase=IncidentPhase.RESOLVED,
        since=now - timedelta(days=40),
        opened_at=now - timedelta(days=40),
        members=(),
        sequence=1,
        resolved_at=now - timedelta(days=39),
    )
    line = TimelineEntry(
        incident=old.id, sequence=1, at=old.opened_at, actor="bob", event="noted", text="long ago"
    )
    await monitor.journal.now(Changes(incidents=(old,), timeline=(line,)))
    _, shown, _ = await failing.ask("GET", "/api/v1/incidents/shop-outage-1999")
    _, written, _ = await failing.ask("GET", f"/api/v1/incidents/{old.id}/postmortem")
    page, text, _ = await failing.ask("GET", f"/incidents/{old.id}")
    _, listed, _ = await failing.ask("GET", "/api/v1/incidents")
    many, unclear, _ = await failing.ask("GET", "/api/v1/incidents/shop-outage")
    _, noted = await post(failing, f"incidents/{old.id}/note", {"text": "it was the disk"})

    assert json.loads(shown)["timeline"][0]["text"] == "long ago"
    assert "long ago (bob)" in written
    assert page == 200
    assert "long ago" in text
    assert [one["id"] for one in json.loads(listed)["incidents"]] == [opened(failing).id, old.id]
    assert (many, "may be any of several" in unclear) == (422, True)
    assert [one["text"] for one in noted["timeline"]] == ["long ago", "it was the disk"]


async def test_an_act_on_what_memory_has_no_room_for_leaves_the_record_whole(
    failing: Any,
) -> None:
    situation, now = failing.monitor.engine.situation, failing.monitor.now()
    many = tuple(
        replace(
            opened(failing),
            id=f"old-{number:03}",
            resolved_at=now,
            opened_at=now - timedelta(days=400 - number / 10),
            sequence=1,
        )
        for number in range(600)
    )
    lines = tuple(
        TimelineEntry(
            incident=one.id, sequence=1, at=now, actor="monitor", event="opened", text="began"
        )
        for one in many
    )
    await failing.monitor.journal.now(Changes(incidents=many, timeline=lines))
    situation.apply(Changes(incidents=many, timeline=lines))
    room = 500 - len(situation.incidents)  # the next one is too many
    situation.apply(Changes(incidents=tuple(replace(one, id=f"x-{one.id}") for one in many[:room])))
    assert "old-000" not in situation.incidents
    await post(failing, "incidents/old-000/note", {"text": "one"})
    _, noted = await post(failing, "incidents/old-000/note", {"text": "two"})

    assert [one["text"] for one in noted["timeline"]] == ["began", "one", "two"]
    assert [one["sequence"] for one in noted["timeline"]] == [1, 2, 3]


async def test_the_page_of_an_incident_says_where_it_stands_and_escapes_all(failing: Any) -> None:
    incident = opened(failing)
    await post(failing, "incidents/shop/note", {"text": HOSTILE.replace("\u202e", "")})
    entry = TimelineEntry(
        incident=incident.id,
        sequence=opened(failing).sequence + 1,
        at=failing.monitor.now(),
        actor="monitor",
        event="evidence",
        text="last logs",
        evidence="</pre><script>alert(2)</script>",
    )
    failing.monitor.engine.situation.apply(Changes(timeline=(entry,)))
    _, before, _ = await failing.ask("GET", f"/incidents/{incident.id}")
    _, front, _ = await failing.ask("GET", "/")
    await post(failing, "incidents/shop/ack", {})
    await post(failing, "incidents/shop/resolve", {"reason": "known"})
    code, after, answer = await failing.ask("GET", f"/incidents/{incident.id}")
    _, service, _ = await failing.ask("GET", "/services/shop")
    missing, _, _ = await failing.ask("GET", "/incidents/nothing")
    nobody, _, _ = await failing.ask("GET", "/services/nothing")

    assert '<li class="now" aria-current="step">Investigating</li>' in before
    assert "Nobody has taken it on." in before
    assert f'href="/incidents/{incident.id}"' in front
    assert "nobody has taken it on" in front
    for page in (before, front, after, service):
        assert "<script" not in page
        assert "&lt;script&gt;" in page
    assert "&lt;/pre&gt;" in before
    assert code == 200
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert '<li class="now" aria-current="step">Resolved</li>' in after
    assert f"Taken on by {WHO}" in after
    assert f"<em>({WHO})</em>" in after
    assert incident.id in service
    assert (missing, nobody) == (404, 404)
