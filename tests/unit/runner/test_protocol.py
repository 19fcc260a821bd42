"""What may be said between the monitor and the hook runner, and what may not."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from monitor.core.model.rollback import Effect, EffectOutcome
from monitor.runner.protocol import (
    Answer,
    Known,
    Malformed,
    Order,
    Wish,
    read_answer,
    read_order,
    write_answer,
    write_order,
)
from tests.support.hooks import TOLD

ORDER = Order(wish=Wish.RUN, fingerprint="f" * 64, context=TOLD)


def changed(**context: Any) -> bytes:
    data = json.loads(write_order(ORDER))
    data["context"] |= context

    return json.dumps(data).encode()


def test_an_order_arrives_as_it_was_given() -> None:
    assert read_order(write_order(ORDER)) == ORDER


def test_an_order_is_one_line_whatever_a_target_said() -> None:
    hostile = replace(ORDER, context=replace(TOLD, reason='a\nb\r\u2028"\\\x00'))
    line = write_order(hostile)

    assert line.count(b"\n") == 1
    assert read_order(line) == hostile


def test_an_attempt_has_a_name_and_a_place() -> None:
    assert ORDER.name == f"{TOLD.step_key}.1"
    assert replace(ORDER, context=replace(TOLD, step_key="a.1.12")).step == 12


@pytest.mark.parametrize(
    "answer",
    [
        Answer(
            known=Known.RESULT,
            effect=Effect(outcome=EffectOutcome.DONE, detail="exit 0", output="é\n"),
        ),
        Answer(known=Known.DENIED, detail="who are you?"),
        Answer(known=Known.NEVER_SEEN),
    ],
    ids=lambda answer: answer.known.value,
)
def test_an_answer_arrives_as_it_was_given(answer: Answer) -> None:
    assert read_answer(write_answer(answer)) == answer


@pytest.mark.parametrize(
    ("line", "why"),
    [
        pytest.param(b"", "a line of JSON", id="nothing"),
        pytest.param(b"\xff\xfe", "a line of JSON", id="no text"),
        pytest.param(b"[" * 100_000, "a line of JSON", id="nested without end"),
        pytest.param(b"[]", "a JSON object", id="a list"),
        pytest.param(b"{}", "wish, fingerprint and context", id="an empty object"),
        pytest.param(
            json.dumps({**json.loads(write_order(ORDER)), "run": ["/bin/sh"]}).encode(),
            "wish, fingerprint and context",
            id="an argument list beside it",
        ),
        pytest.param(changed(run=["/bin/sh"]), "expected exactly", id="an argument list in it"),
        pytest.param(
            json.dumps({"wish": "run", "fingerprint": "f", "context": []}).encode(),
            "context: expected an object",
            id="a context that is a list",
        ),
        pytest.param(
            json.dumps({"wish": "run", "fingerprint": 5, "context": asdict(TOLD)}).encode(),
            "fingerprint: expected a string",
            id="a fingerprint that is a number",
        ),
        pytest.param(
            json.dumps({"wish": "kill", "fingerprint": "", "context": asdict(TOLD)}).encode(),
            "expected run or recall",
            id="another wish",
        ),
        pytest.param(changed(attempt=True), "attempt: expected int", id="a boolean as a number"),
        pytest.param(changed(attempt=0), "expected 1 to 9", id="attempt 0"),
        pytest.param(changed(attempt=10), "expected 1 to 9", id="attempt 10"),
        pytest.param(changed(service=None), "service: expected str", id="null"),
        pytest.param(changed(reason="x" * 4_001), "longer than", id="a long text"),
        pytest.param(changed(step_key="../../etc/cron.d/x.1.1"), "step_key", id="a path as key"),
        pytest.param(changed(step_key="a\n.1.1"), "step_key", id="a line break in the key"),
        pytest.param(changed(step_key="a.1.0"), "step_key", id="step 0"),
        pytest.param(changed(step_key=".1.1"), "step_key", id="no rollback"),
    ],
)
def test_what_is_no_order_is_refused(line: bytes, why: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_order(line)

    assert why in str(refused.value)


@pytest.mark.parametrize(
    "line",
    [b"", b"[]", b"{}", b'{"known": "result", "effect": {}, "detail": ""}', b'{"known": "maybe"}'],
)
def test_what_is_no_answer_is_refused(line: bytes) -> None:
    with pytest.raises(Malformed):
        read_answer(line)
