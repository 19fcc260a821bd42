"""The typed fields of options: strict, and silent about secrets."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.config.document import LiveText
from monitor.fields import Duration, Options, Ratio, SecretText, Size
from monitor.options import Secret, parse_duration


class Sample(Options):
    every: Duration = timedelta(seconds=30)
    share: Ratio = 0.5
    limit: Size = 1024
    token: SecretText | None = None


def read(**values: Any) -> Sample:
    return Sample.model_validate(values)


def test_fields_read_what_people_write() -> None:
    sample = read(every="1h30m", share="5%", limit="512KiB", token="hunter2")

    assert sample.every == timedelta(hours=1, minutes=30)
    assert sample.share == pytest.approx(0.05)
    assert sample.limit == 524_288
    assert sample.token == Secret("hunter2")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"every": 5}, "expected a duration such as 30s, found 5"),
        ({"share": "5"}, "expected a ratio such as 5% or 0.05, found '5'"),
        ({"limit": "5x"}, "expected a size such as 512KiB, found '5x'"),
        ({"token": ""}, "expected a non-empty string"),
        ({"token": 5}, "expected a non-empty string"),
        ({"token": LiveText("", Secret(""))}, "expected a non-empty string"),
        ({"evry": "5s"}, "Extra inputs are not permitted"),
    ],
)
def test_fields_say_what_they_want(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        read(**values)

    [error] = raised.value.errors()
    assert error["msg"].removeprefix("Value error, ") == message


def test_a_secret_never_shows_in_its_options() -> None:
    sample = read(token="hunter2")

    assert "hunter2" not in repr(sample)
    assert "hunter2" not in str(sample.model_dump())


def test_text_from_a_file_keeps_the_secret_that_reads_it_again() -> None:
    secret = Secret("first", refresh=lambda: "second")

    sample = read(token=LiveText("first", secret))

    assert sample.token is secret
    assert secret.reveal() == "second"


def test_a_secret_is_taken_as_it_is() -> None:
    secret = Secret("hunter2")

    assert read(token=secret).token is secret


def test_options_are_frozen() -> None:
    sample = read()

    with pytest.raises(ValidationError, match="frozen"):
        sample.share = 0.1


def test_the_schema_of_a_duration_accepts_what_the_field_accepts() -> None:
    pattern = Sample.model_json_schema()["properties"]["every"]["pattern"]

    for text in ("30s", "1.5h", "1h30m", "500ms"):
        assert re.search(pattern, text)
        parse_duration(text)
    for text in ("30", "s", "-1s", "٣s"):
        assert not re.search(pattern, text)


def test_the_schema_shows_default_durations_as_they_are_written() -> None:
    class Timed(Options):
        timeout: Duration = timedelta(minutes=90)

    assert (
        Timed.model_json_schema(mode="serialization")["properties"]["timeout"]["default"] == "1h30m"
    )
