"""What was heard of a heartbeat goes over the API as JSON, and nothing of it is lost."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.core.model.heartbeat import Heard, Heartbeat, Ping, PingKind, Presence
from monitor.core.report_heard import heard_json, read_heard

NOON = datetime(2026, 3, 4, 12, 0, 0, 123456, tzinfo=UTC)
ENDED = Ping(at=NOON, kind=PingKind.FAIL, exit_code=3, output="disk full\n✘")
WHOLE = Heard(
    heartbeat=Heartbeat(
        endpoint="backup",
        schedule="1d",
        since=NOON - timedelta(days=2),
        pings=(Ping(at=NOON - timedelta(hours=1), kind=PingKind.START), ENDED),
        ended=ENDED,
        shown=NOON,
        started=NOON + timedelta(seconds=1),
        restarted=NOON + timedelta(seconds=2),
        took=timedelta(minutes=59, microseconds=1),
    ),
    presences=(Presence(id=7, since=NOON - timedelta(days=3), until=NOON),),
)


@pytest.mark.parametrize(
    "heard",
    [
        WHOLE,
        Heard(),
        Heard(heartbeat=Heartbeat(endpoint="backup", schedule="1d", since=NOON)),
    ],
    ids=["whole", "nothing", "no ping yet"],
)
def test_what_was_heard_comes_back_as_it_was(heard: Heard) -> None:
    assert read_heard(json.loads(json.dumps(heard_json(heard)))) == heard


def test_each_field_of_the_records_is_written() -> None:
    assert WHOLE.heartbeat is not None
    unset = [one.name for one in fields(Heartbeat) if not getattr(WHOLE.heartbeat, one.name)]

    assert unset == []  # else the test above would not see that it is lost


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"heartbeat": {}, "presences": []},
        {"heartbeat": 3, "presences": []},
        {"heartbeat": None, "presences": [{"id": 1, "since": "noon", "until": "noon"}]},
        {"heartbeat": None, "presences": None},
    ],
)
def test_what_is_something_else_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"heartbeat|isoformat"):
        read_heard(written)
