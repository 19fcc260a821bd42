"""Durations, ratios, sizes and secrets, as people write them and as they are shown."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.options import (
    Redactor,
    Secret,
    format_duration,
    is_loopback,
    parse_duration,
    parse_ratio,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0s", 0),
        ("500ms", 500),
        ("30s", 30_000),
        ("0.5s", 500),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("14d", 1_209_600_000),
        ("1w", 604_800_000),
        ("3650d", 315_360_000_000),
    ],
)
def test_a_duration_has_a_unit(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == timedelta(milliseconds=milliseconds)


def test_a_duration_may_be_one_already() -> None:
    assert parse_duration(timedelta(seconds=3)) == timedelta(seconds=3)


@pytest.mark.parametrize(
    "found",
    [
        "",
        "5",
        "s",
        "-1s",
        "1 s",
        " 1s",
        "1s\n",
        "1.s",
        ".5s",
        "1e3s",
        "1S",
        "nan",
        "\u0663s",
        "\uff15m",
        "1h 30m",
    ],
)
def test_what_is_no_duration_is_refused(found: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 30s") as raised:
        parse_duration(found)

    assert str(raised.value) == f"expected a duration such as 30s, found {found!r}"


@pytest.mark.parametrize("found", [5, 5.0, True, None, [], {}], ids=repr)
def test_a_bare_number_is_no_duration(found: object) -> None:
    with pytest.raises(ValueError) as raised:
        parse_duration(found)

    assert str(raised.value) == f"expected a duration such as 30s, found {found!r}"


@pytest.mark.parametrize("found", ["3651d", "1000000000000s", "9" * 5000 + "s"], ids=len)
def test_a_duration_beyond_ten_years_is_refused_in_one_line(found: str) -> None:
    with pytest.raises(ValueError, match="expected a duration of at most 3650d") as raised:
        parse_duration(found)

    assert len(str(raised.value)) < 120


def test_a_huge_integer_is_not_written_out() -> None:
    with pytest.raises(ValueError) as raised:
        parse_duration(10**5000)

    assert str(raised.value) == "expected a duration such as 30s, found a huge integer"


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (0, "0ms"),
        (0.2, "0ms"),
        (-0.2, "0ms"),
        (450, "450ms"),
        (999.7, "1s"),
        (1_500, "1.5s"),
        (2_000, "2s"),
        (9_999, "9.999s"),
        (10_400, "10s"),
        (59_999, "1m"),
        (125_000, "2m 5s"),
        (3_600_000, "1h"),
        (5_400_000, "1h 30m"),
        (1_209_600_000, "14d"),
        (90_061_000, "1d 1h"),
        (-1_500, "-1.5s"),
    ],
)
def test_a_duration_is_shown_as_a_person_says_it(milliseconds: float, shown: str) -> None:
    assert format_duration(timedelta(milliseconds=milliseconds)) == shown


@given(st.integers(0, 9_999))
def test_a_short_duration_survives_being_shown(milliseconds: int) -> None:
    value = timedelta(milliseconds=milliseconds)

    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize(
    ("found", "ratio"),
    [("5%", 0.05), ("0.5%", 0.005), ("100%", 1.0), (0.05, 0.05), (0, 0.0), (1, 1.0)],
)
def test_a_ratio_is_a_percentage_or_a_fraction(found: object, ratio: float) -> None:
    assert parse_ratio(found) == pytest.approx(ratio)


@pytest.mark.parametrize(
    "found",
    [
        "5",
        "101%",
        "-5%",
        "5 %",
        "\u0665%",
        "%",
        1.01,
        -0.01,
        5,
        True,
        None,
        float("nan"),
        float("inf"),
    ],
    ids=repr,
)
def test_what_is_no_ratio_is_refused(found: object) -> None:
    with pytest.raises(ValueError) as raised:
        parse_ratio(found)

    assert str(raised.value) == f"expected a ratio such as 5% or 0.05, found {found!r}"


@pytest.mark.parametrize(
    ("found", "size"),
    [
        (0, 0),
        (512, 512),
        ("0B", 0),
        ("512KiB", 524_288),
        ("1kB", 1000),
        ("1KB", 1000),
        ("1MB", 1_000_000),
        ("1.5MiB", 1_572_864),
        ("1GB", 1_000_000_000),
        ("1024GiB", 1024**4),
    ],
)
def test_a_size_is_bytes_or_has_a_unit(found: object, size: int) -> None:
    assert parse_size(found) == size


@pytest.mark.parametrize(
    "found",
    ["", "512", "1 MB", "1mb", "-1B", "\u0665B", "1TB", -1, 1.5, True, False, None],
    ids=repr,
)
def test_what_is_no_size_is_refused(found: object) -> None:
    with pytest.raises(ValueError) as raised:
        parse_size(found)

    assert str(raised.value) == f"expected a size such as 512KiB, found {found!r}"


@pytest.mark.parametrize(
    "found", ["1025GiB", "9" * 5000 + "GiB", 1024**4 + 1, 10**5000], ids=[*"abcd"]
)
def test_a_size_beyond_all_reason_is_refused(found: object) -> None:
    with pytest.raises(ValueError, match="expected a size of at most 1024GiB") as raised:
        parse_size(found)

    assert len(str(raised.value)) < 120


def test_a_secret_does_not_show() -> None:
    secret = Secret("hunter2")

    assert secret.reveal() == secret.current == "hunter2"
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    assert not secret.live


def test_secrets_are_equal_by_value_or_by_where_they_come_from() -> None:
    def read() -> str:
        return "b"

    live = Secret("a", refresh=read)
    same = Secret("b", refresh=read)

    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert live == same
    assert hash(live) == hash(same)
    assert live != Secret("a")
    assert len({Secret("a"), Secret("a"), live, same}) == 2


def halves(text: str) -> list[str]:
    if ":" not in text:
        raise ValueError(text)

    return [half for half in text.split(":") if half]


def test_parts_of_a_secret_change_with_it() -> None:
    values = iter(["ana:second", "ana:", "nonsense"])
    whole = Secret("ana:first", refresh=lambda: next(values))
    name, password = whole.parts(halves)

    assert (name.current, password.current) == ("ana", "first")
    assert password.live
    assert password.reveal() == "second"
    assert whole.reveal() == "ana:"
    assert (name.current, password.current) == ("ana", "")
    whole.reveal()
    assert name.current == "ana"
    assert set(whole.parts(lambda _: ["x"])).isdisjoint({name, password})


def test_parts_of_a_fixed_secret_are_fixed_and_what_has_none_gives_none() -> None:
    assert Secret("a:b").parts(halves) == (Secret("a"), Secret("b"))
    assert not any(part.live for part in Secret("a:b").parts(halves))
    assert Secret("nonsense").parts(halves) == ()


def test_a_live_secret_is_read_when_it_is_revealed() -> None:
    values = iter(["second", "third"])
    secret = Secret("first", refresh=lambda: next(values))

    assert secret.live
    assert secret.current == "first"
    assert secret.reveal() == "second"
    assert secret.current == "second"
    assert secret.reveal() == "third"


@pytest.mark.parametrize("error", [FileNotFoundError(), PermissionError(), ValueError()], ids=repr)
def test_a_secret_that_cannot_be_read_again_keeps_its_value(error: Exception) -> None:
    def read() -> str:
        raise error

    secret = Secret("first", refresh=read)

    assert secret.reveal() == "first"


def test_known_secrets_are_masked_longest_first() -> None:
    redactor = Redactor(["hunter", Secret("hunter2"), "abc"])

    assert redactor.mask("hunter2 hunter abc hunt") == "*** *** abc hunt"
    assert Redactor().mask("anything") == "anything"


@pytest.mark.parametrize(
    "within",
    [
        pytest.param("\x1b[1;31m", id="a colour"),
        pytest.param("\x1b(B\x1b[m", id="the end of a colour"),
        pytest.param("\x9b1m", id="a colour in one sign"),
        pytest.param("\x1b]8;;https://x.example\x1b\\", id="a link"),
        pytest.param("\0", id="nothing"),
        pytest.param("\u200b", id="a space of no width"),
        pytest.param("\U000e0041", id="a tag"),
    ],
)
def test_a_secret_is_masked_with_something_unseen_inside_of_it(within: str) -> None:
    redactor = Redactor(["hunter2-canary"])

    masked = redactor.mask(f"\x1b[1mfirst\x1b[0m\r\ntoken hunter{within}2-canary\tand on")

    assert masked == "first\r\ntoken ***\tand on"
    assert redactor.mask(f"first{within}hunter2-canary") == f"first{within}***"


def test_secrets_learned_later_are_masked_too() -> None:
    redactor = Redactor(["first"])

    redactor.learn([Secret("second"), "third"])

    assert redactor.mask("first second third") == "*** *** ***"


def test_a_secret_is_masked_inside_json() -> None:
    redactor = Redactor(['a"b\nc\\é'])

    assert redactor.mask(json.dumps({"found": 'x a"b\nc\\é'})) == '{"found": "x ***"}'


def test_a_secret_is_no_pattern() -> None:
    assert Redactor(["a.*b"]).mask("a.*b axxb") == "*** axxb"


def test_the_redactor_follows_a_live_secret_and_remembers_what_it_was() -> None:
    values = iter(["second", "third", "third"])
    secret = Secret("first", refresh=lambda: next(values))
    redactor = Redactor([secret])
    assert redactor.mask("first second") == "*** second"

    secret.reveal()
    assert redactor.mask("first second third") == "*** *** third"

    secret.reveal()
    assert redactor.mask("first second third") == "*** *** ***"

    secret.reveal()
    assert redactor.mask("first second third") == "*** *** ***"


def test_a_live_secret_that_changed_before_another_was_learned_stays_masked() -> None:
    secret = Secret("first", refresh=lambda: "second")
    redactor = Redactor([secret])

    secret.reveal()
    redactor.learn(["other"])

    assert redactor.mask("first second other") == "*** *** ***"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LocalHost.", True),
        ("shop.localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("shop.example", False),
        ("", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
