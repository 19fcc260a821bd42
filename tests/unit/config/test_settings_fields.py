"""Fields: what each takes, and the words in which it refuses the rest."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from monitor.config.settings_fields import Percentile, name_problem, read_threshold
from monitor.core.model.endpoint import InARow, KOfN
from tests.support.configuring import API, configure, mistakes

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.core.model.endpoint import FailureThreshold

_RULE: Final = (
    "expected a name of up to 100 letters, digits, dots, hyphens and underscores "
    "that starts with a letter or digit, found "
)


@pytest.mark.parametrize("name", ["a", "shop-1.api_v2", "9", "A" * 100])
def test_a_name_is_letters_digits_dots_hyphens_and_underscores(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", "-a", ".a", "a b", 'a"', "a'", "a\n", "\u00e4", "a/b", "A" * 101]
)
def test_any_other_name_is_refused(name: str) -> None:
    problem = name_problem(name)

    assert problem is not None
    assert problem.startswith(_RULE)


@pytest.mark.parametrize(
    ("written", "threshold"),
    [
        (1, InARow(count=1)),
        (1000, InARow(count=1000)),
        ("3 of 5", KOfN(k=3, n=5)),
        ("5  of  5", KOfN(k=5, n=5)),
    ],
)
def test_a_threshold_is_in_a_row_or_of_the_last(
    written: object, threshold: FailureThreshold
) -> None:
    assert read_threshold(written) == threshold


@pytest.mark.parametrize(
    "written", [0, -1, 1001, True, 1.5, None, "3", "3 of", "3of5", "-1 of 5", "0 of 5", "6 of 5"]
)
def test_any_other_threshold_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_threshold(written)


def test_the_maximum_is_the_hundredth_percentile() -> None:
    assert [percentile.rank for percentile in Percentile] == [50, 95, 99, 100]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("environment: ''", 'environment: expected one line of text, found ""'),
        ('location: "a\\nb"', 'location: expected one line of text, found "a\\nb"'),
        ("web: {listen: 9797}", "web.listen: expected host:port such as 127.0.0.1:9797"),
        ("web: {public_url: 5}", "web.public_url: expected a URL such as"),
        ("web: {public_url: 'https://a.example:0/'}", "web.public_url: expected a URL such as"),
        ("web: {public_url: 'https://[::1/'}", "web.public_url: expected a URL such as"),
        ("web: {public_url: 'https://u@a.example/'}", "expected a URL without user and password"),
        ("web: {open: [1]}", "web.open[0]: expected one of metrics, probe"),
        ("defaults: {every: true}", "defaults.every: expected a duration such as 30s, found True"),
        ("defaults: {every: 30}", "defaults.every: expected a duration such as 30s, found 30"),
        ("defaults: {success_threshold: 2.5}", "expected a number such as 2, found 2.5"),
        ("defaults: {success_threshold: 1001}", "expected at most 1000, found 1001"),
        ("defaults: {severity: 1}", "defaults.severity: expected one of critical, high"),
        ("defaults: [30s]", "defaults: expected a map, found a list"),
        ("retention: 4000d", "retention: expected a duration of at most 3650d"),
        ("services: {api: {version: {endpoint: 5, header: x}}}", "expected a name, found 5"),
        ("services: {api: {rollback: }}", "rollback: expected a value, found nothing"),
        ("services: {api: {rollback: {when: {any: []}}}}", "any: expected at least 1, found 0"),
        ("services: {api: {rollback: {when: {of: [api.health]}}}}", "at_least and of together"),
        ("services: {api: {rollback: {when: {at_least: 1}}}}", "at_least and of together"),
        ("services: {api: {rollback: {limits: {cooldown: 5}}}}", "expected a duration such as"),
        ("services: {api: {rollback: {steps: [{}]}}}", "one of command, webhook, found an empty"),
        ("services: {'a b': {}}", "services.a b: expected a name of up to"),
        ("services: {api: {contacts: {'a b': x}}}", "services.api.contacts.a b: expected a name"),
        ("witnesses: [5]", "witnesses[0]: expected a map, found a number"),
        ("notifiers: [log]", "notifiers: expected a map, found a list"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, section: str, message: str) -> None:
    (told,) = mistakes(tmp_path, f"{section}\n{API}")

    assert message in told


def test_the_shortest_and_longest_intervals_are_taken(tmp_path: Path) -> None:
    for written, every in (("100ms", timedelta(milliseconds=100)), ("1d", timedelta(days=1))):
        assert configure(tmp_path, f"defaults: {{every: {written}}}\n{API}").every == every
