"""Records come back from JSON as they were."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.model.changes import Result
from monitor.core.model.check_state import CheckState
from monitor.core.model.deploy import Deploy
from monitor.core.model.incident import Incident, TimelineEntry
from monitor.core.model.notice import Delivery
from monitor.core.model.rollback import Rollback, Step
from monitor.store.codec import CodecError, decode, encode, from_microseconds, to_microseconds
from tests.support.stored import NOON, a_deploy, a_result, a_state, an_entry, any_of

KINDS = (CheckState, Result, Incident, TimelineEntry, Delivery, Deploy, Rollback, Step)


@given(st.one_of(*map(any_of, KINDS)))
def test_every_record_comes_back_as_it_was(record: Any) -> None:
    assert decode(type(record), encode(record)) == record


def test_a_time_elsewhere_comes_back_as_the_same_moment_in_utc() -> None:
    here = datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1)))

    back = decode(Deploy, encode(a_deploy(at=here)))

    assert back.at == here
    assert back.at.utcoffset() == timedelta()


def test_half_a_surrogate_pair_comes_back() -> None:
    record = a_deploy(version="v\ud800")

    assert decode(Deploy, encode(record)) == record


def test_what_an_earlier_version_did_not_write_has_its_default() -> None:
    text = '{"_":1,"check":"api.health","fingerprint":"f1"}'

    assert decode(CheckState, text) == a_state()


def test_what_this_version_does_not_know_is_ignored() -> None:
    plain = {**json.loads(encode(a_state())), "mood": "sunny"}

    assert decode(CheckState, json.dumps(plain)) == a_state()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"_":1,"check":"api.health"}', "fingerprint is missing"),
        ('{"_":2,"check":"api.health","fingerprint":"f"}', "version 1 to 1, found 2"),
        ('{"check":"api.health","fingerprint":"f"}', "found None"),
        ('{"_":1,"check":"api.health","fingerprint":"f","state":"sunny"}', "sunny"),
        ("[]", "CheckState"),
        ("{", "CheckState"),
    ],
    ids=["no key", "later version", "no version", "unknown member", "no object", "no json"],
)
def test_what_cannot_be_read_says_why(text: str, problem: str) -> None:
    with pytest.raises(CodecError) as caught:
        decode(CheckState, text)

    assert problem in str(caught.value)
    assert "CheckState" in str(caught.value)


def test_a_time_without_a_zone_is_not_stored() -> None:
    naive = NOON.replace(tzinfo=None)

    with pytest.raises(CodecError, match="time zone"):
        encode(an_entry(at=naive))
    with pytest.raises(CodecError, match="time zone"):
        to_microseconds(naive)


@given(any_of(datetime))
def test_microseconds_are_exact(moment: datetime) -> None:
    assert from_microseconds(to_microseconds(moment)) == moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguous:
    value: int | str


@pytest.mark.parametrize("record", [Odd(value=b""), Ambiguous(value=1)], ids=["bytes", "a union"])
def test_a_type_that_cannot_come_back_is_refused(record: object) -> None:
    with pytest.raises(CodecError, match="no way is known"):
        encode(record)


def test_what_is_none_by_default_takes_no_room() -> None:
    assert "code" not in json.loads(encode(a_result()))
