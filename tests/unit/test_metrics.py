"""What Prometheus reads: valid in both formats, complete from the start, gone with what is gone."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from monitor.core.model.changes import Changes
from monitor.core.model.deploy import DeployKind, DeployState
from monitor.core.model.endpoint import Severity
from monitor.core.model.notice import Delivered, DeliveryState, Refused, TryAgain
from monitor.core.model.observation import Code, Fault, Observation, Phase
from monitor.core.model.rollback import Blocked, RollbackState
from monitor.core.model.service import Service
from monitor.core.model.verdict import Outcome, Verdict
from monitor.core.outbox import Why
from monitor.core.sight import Latest
from monitor.metrics import Metrics, exposition, why_no_series
from tests.support.judging import no_answer
from tests.support.rolling import make_policy
from tests.support.stored import a_delivery, a_deploy, a_rollback
from tests.support.watching import (
    answer,
    at,
    make_check,
    make_directory,
    make_endpoint,
    make_story,
    own_fault,
)

if TYPE_CHECKING:
    from datetime import datetime

    from tests.support.watching import Story

OWN = "production_monitor_"
DOCUMENT = Path(__file__).parents[2] / "docs/metrics.md"

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def write(metrics: Metrics, *, now: datetime, as_openmetrics: bool = False) -> str:
    parts = metrics.parts(
        now=now, sees=True, store_works=True, rollbacks_off=False, as_openmetrics=as_openmetrics
    )

    return b"".join(parts).decode()


def read(page: str, *, as_openmetrics: bool = False) -> Series:
    parse = read_openmetrics if as_openmetrics else read_text
    samples = [sample for family in parse(page) for sample in family.samples]
    series = {(one.name, tuple(sorted(one.labels.items()))): one.value for one in samples}
    assert len(series) == len(samples), "no series comes twice"

    return series


def watch(story: Story) -> Metrics:
    metrics = Metrics(story.engine)
    metrics.reloaded(successful=True, now=at(0))

    return metrics


def value(series: Series, name: str, **labels: str) -> float | None:
    return series.get((name, tuple(sorted(labels.items()))))


def names(series: Series) -> set[str]:
    return {name for name, _ in series}


def eventful() -> tuple[Story, Metrics]:
    """Give a monitor to which everything has happened that is counted."""
    story = make_story(
        make_endpoint(),
        make_endpoint(name="api 2", service='sh"op\\'),
        directory=make_directory(Service(name="shop", rollback=make_policy())),
    )
    metrics = watch(story)
    for _ in range(4):
        metrics.changed(story.sees(500))
    seen = replace(
        answer(seconds=story.seconds),
        phases={Phase.RESOLVE: timedelta(milliseconds=2), Phase.TLS: timedelta(milliseconds=9)},
        http_version="1.1",
        ip_family=4,
        address="192.0.2.1",
        content_length=8,
        tls_version='TLS "1.3"\n\\',
    )
    story.takes(seen, endpoint="api 2")
    metrics.observed(story.engine.endpoints["api"], seen)
    metrics.lagged(timedelta(milliseconds=3))
    metrics.skipped("api", 2)
    metrics.broke(story.engine.endpoints["api"])
    metrics.delivered(a_delivery(notifier="slack"), Delivered())
    metrics.delivered(a_delivery(notifier="slack"), TryAgain(reason=Why.TIMEOUT, error="late"))
    story.engine.situation.apply(Changes(deploys=(a_deploy(service="shop"),)))

    return story, metrics


@pytest.mark.parametrize("as_openmetrics", [False, True], ids=["text", "OpenMetrics"])
def test_the_page_is_valid_and_says_the_same_in_both_formats(as_openmetrics: bool) -> None:
    story, metrics = eventful()

    page = write(metrics, now=story.now, as_openmetrics=as_openmetrics)
    series = read(page, as_openmetrics=as_openmetrics)

    assert value(series, f"{OWN}check_state", check="api.health") == 1
    assert value(series, f"{OWN}check_consecutive_failures", check="api.health") == 4
    assert value(series, f"{OWN}check_flapping", check="api.health") == 0
    assert value(series, f"{OWN}probe_failures_total", reason="status") == 4
    assert value(series, f"{OWN}probes_total") == 1
    assert value(series, f"{OWN}probe_bugs_total") == 1
    assert value(series, f"{OWN}skipped_probes_total") == 2
    assert value(series, f"{OWN}probe_seconds_count") == 1
    assert value(series, f"{OWN}schedule_lag_seconds_bucket", le="0.005") == 1
    assert value(series, f"{OWN}notifications_total", notifier="slack") == 1
    assert value(series, f"{OWN}incidents_open", service="shop", severity="high") == 1
    labels = {"endpoint": "api 2", "target": "http://api 2.test/", "service": 'sh"op\\'}
    assert value(series, "probe_success", **labels) == 1
    assert value(series, "probe_http_duration_seconds", phase="tls", **labels) == 0.009
    assert value(series, "probe_tls_version_info", version='TLS "1.3"\n\\', **labels) == 1
    assert (page.count("# EOF\n"), page.endswith("# EOF\n")) == (
        (1, True) if as_openmetrics else (0, False)
    )


def test_each_family_is_explained_once_and_before_its_samples() -> None:
    story, metrics = eventful()

    page = write(metrics, now=story.now)

    explained: list[str] = []
    typed: list[str] = []
    for line in page.splitlines():
        match line.split(" ", 3):
            case ["#", "HELP", name, text]:
                assert text
                explained.append(name)
            case ["#", "TYPE", name, _]:
                assert name == explained[-1]
                typed.append(name)
            case _:
                assert re.match(r"\w+", line)[0].startswith(typed[-1])  # type: ignore[index]  # it matches
    assert len(set(explained)) == len(explained)
    assert explained == typed


def test_every_metric_is_documented_and_every_documented_metric_exists() -> None:
    story, metrics = eventful()
    page = write(metrics, now=story.now)
    exported = set(re.findall(r"^# TYPE (\w+)", page, re.MULTILINE))
    documented = set(re.findall(r"^\| `(\w+)", DOCUMENT.read_text(), re.MULTILINE))

    assert {name for name in exported if not name.endswith("_created")} == documented


def test_what_may_be_counted_is_there_from_the_start() -> None:
    story = make_story(
        directory=make_directory(
            Service(name="shop", rollback=make_policy()), Service(name="plain")
        )
    )

    series = read(write(watch(story), now=story.now))

    assert {value(series, f"{OWN}probe_failures_total", reason=code) for code in Code} == {0}
    assert value(series, f"{OWN}notifications_total", notifier="slack") == 0
    assert {
        value(series, f"{OWN}notification_failures_total", notifier="slack", reason=why)
        for why in Why
    } == {0}
    assert {
        value(series, f"{OWN}rollbacks_total", service="shop", outcome=state)
        for state in RollbackState
    } == {0, None}
    assert {
        value(series, f"{OWN}rollback_blocked_total", service="shop", reason=blocked)
        for blocked in Blocked
    } == {0}
    assert value(series, f"{OWN}rollbacks_total", service="plain", outcome="recovered") is None
    assert value(series, f"{OWN}incidents_open", service="shop", severity="high") == 0
    assert value(series, f"{OWN}check_state", check="api.health") == 2
    assert value(series, f"{OWN}config_last_reload_successful") == 1
    assert value(series, f"{OWN}config_last_reload_success_timestamp_seconds") == (
        at(0).timestamp()
    )
    assert value(series, f"{OWN}oldest_undelivered_notification_seconds") == 0
    assert f"{OWN}build_info" in names(series)


def test_what_is_removed_leaves_no_series_behind() -> None:
    shop = Service(name="shop", rollback=make_policy())
    story = make_story(
        make_endpoint(),
        make_endpoint(name="old", service="gone"),
        directory=make_directory(
            shop,
            Service(name="gone", rollback=make_policy()),
            notifiers=("slack", "pager"),
        ),
    )
    metrics = watch(story)
    story.sees(500, 500, 500, endpoint="old")
    story.sees(200)
    metrics.delivered(a_delivery(notifier="pager"), Refused(reason=Why.REFUSED, error="no"))
    story.engine.situation.apply(Changes(deploys=(a_deploy(service="gone"),)))
    before = write(metrics, now=story.now)

    story.engine.adopt([make_endpoint()], make_directory(shop), story.now)
    metrics.reloaded(successful=True, now=story.now)
    after = write(metrics, now=story.now)

    for name in ('"old"', '"old.health"', '"gone"', '"pager"'):
        assert name in before
        assert name not in after
    assert '"shop"' in after


def test_a_reload_that_failed_keeps_what_is_counted() -> None:
    story = make_story()
    metrics = watch(story)
    metrics.delivered(a_delivery(notifier="slack"), Delivered())

    metrics.reloaded(successful=False, now=at(60))
    series = read(write(metrics, now=story.now))

    assert value(series, f"{OWN}config_last_reload_successful") == 0
    assert value(series, f"{OWN}config_last_reload_success_timestamp_seconds") == (
        at(0).timestamp()
    )
    assert value(series, f"{OWN}notifications_total", notifier="slack") == 1


@pytest.mark.parametrize(
    ("observation", "code"),
    [
        pytest.param(answer(503), "status", id="a status"),
        pytest.param(
            Observation(
                at=at(0),
                duration=timedelta(seconds=1),
                fault=Fault(code=Code.TIMEOUT, message="no answer"),
            ),
            "timeout",
            id="a fault of the target",
        ),
        pytest.param(own_fault(), "witness", id="a fault of our own"),
    ],
)
def test_a_probe_that_was_not_good_counts_once_by_its_reason(
    observation: Observation, code: str
) -> None:
    story = make_story()
    metrics = watch(story)

    metrics.changed(story.takes(observation))
    metrics.changed(story.takes(answer(200, seconds=30)))
    series = read(write(metrics, now=story.now))

    counted = {
        reason: value(series, f"{OWN}probe_failures_total", reason=reason) for reason in Code
    }
    assert {reason: count for reason, count in counted.items() if count} == {code: 1}


def test_rollbacks_are_counted_once_by_their_end_and_by_what_held_them_back() -> None:
    story = make_story(directory=make_directory(Service(name="api", rollback=make_policy())))
    metrics = watch(story)
    ended = a_rollback(state=RollbackState.FAILED)
    held = a_rollback("r2", state=RollbackState.BLOCKED, blocked=Blocked.COOLING_DOWN)
    called_off = a_rollback("r3", state=RollbackState.BLOCKED)  # as it was once written
    cancelled = a_rollback("r4", state=RollbackState.CANCELLED)

    for _ in range(2):
        metrics.changed(Changes(rollbacks=(ended, held, called_off, cancelled)))
    series = read(write(metrics, now=story.now))

    assert value(series, f"{OWN}rollbacks_total", service="api", outcome="failed") == 1
    assert value(series, f"{OWN}rollbacks_total", service="api", outcome="cancelled") == 1
    assert value(series, f"{OWN}rollback_blocked_total", service="api", reason="COOLING_DOWN") == 1
    assert sum(count for (name, _), count in series.items() if "rollback_blocked_t" in name) == 1


def test_the_newest_deploy_has_its_time_and_what_was_found_at_first_is_none() -> None:
    story = make_story(
        directory=make_directory(Service(name="batch"), Service(name="shop")),
    )
    metrics = watch(story)
    story.engine.situation.apply(
        Changes(
            deploys=(
                a_deploy("v1", at(0), service="batch", baseline=True),
                a_deploy("v1", at(0), service="shop"),
                a_deploy("v2", at(60), service="shop"),
                a_deploy("v3", at(90), service="shop", state=DeployState.FAILED),
                a_deploy("v1b", at(50), service="shop", kind=DeployKind.ROLLBACK),
            )
        )
    )

    series = read(write(metrics, now=story.now))

    name = f"{OWN}last_deploy_timestamp_seconds"
    assert value(series, name, service="shop") == at(60).timestamp()
    assert value(series, name, service="batch") is None


def test_the_oldest_notice_that_somebody_still_has_to_get_has_its_age() -> None:
    story = make_story()
    metrics = watch(story)
    story.engine.situation.apply(
        Changes(
            deliveries=(
                a_delivery(
                    "d1", notifier="slack", queued_at=at(-90), state=DeliveryState.DELIVERED
                ),
                a_delivery("d2", notifier="slack", queued_at=at(-60)),
                a_delivery("d3", notifier="slack", queued_at=at(-30), state=DeliveryState.INFLIGHT),
                a_delivery("d4", notifier="removed", queued_at=at(-900)),
            )
        )
    )

    waiting = f"{OWN}oldest_undelivered_notification_seconds"
    assert value(read(write(metrics, now=at(0))), waiting) == 60
    assert value(read(write(metrics, now=at(-100))), waiting) == 0, "a clock that was set back"


def test_what_the_monitor_itself_suffers_from_is_said() -> None:
    story = make_story()

    parts = watch(story).parts(
        now=at(0), sees=False, store_works=False, rollbacks_off=True, as_openmetrics=False
    )
    series = read(b"".join(parts).decode())

    assert value(series, f"{OWN}blind") == 1
    assert value(series, f"{OWN}store_works") == 0


def test_no_value_is_given_where_the_monitor_cannot_tell() -> None:
    story = make_story(make_endpoint(), make_endpoint(name="blind"), make_endpoint(name="old"))
    metrics = watch(story)
    story.takes(answer(seconds=0), endpoint="old")
    story.takes(own_fault(seconds=100), endpoint="blind")
    story.takes(answer(seconds=100))
    latest = story.engine.latest

    page = write(metrics, now=at(103))

    assert 'probe_success{endpoint="api"' in page
    assert 'endpoint="blind"' not in page
    assert 'endpoint="old"' not in page
    assert why_no_series(latest["api"], at(103)) is None
    assert "own" in (why_no_series(latest["blind"], at(103)) or "")
    assert "two intervals" in (why_no_series(latest["old"], at(103)) or "")
    assert "no result" in (why_no_series(None, at(103)) or "")


def test_no_value_is_given_while_nothing_can_be_judged_yet_or_a_carrier_is_silent() -> None:
    waits = Verdict(outcome=Outcome.WAITING, at=at(0), note="no ping yet")
    unknown = Verdict(outcome=Outcome.UNKNOWN, at=at(0))
    endpoint, dead = make_endpoint(), no_answer(Code.CONNECTION_REFUSED)

    def why(seen: Observation, **verdicts: Verdict) -> str:
        said = {f"api.{name}": verdict for name, verdict in verdicts.items()}
        latest = Latest(endpoint=endpoint, observation=replace(seen, at=at(0)), verdicts=said)
        return why_no_series(latest, at(1)) or ""

    assert why(answer(), health=waits) == "waits for what can be judged: no ping yet"
    assert "could not be judged" in why(dead, value=unknown)
    assert why(dead) == ""
    assert why(answer(), value=waits) == ""


def test_each_of_many_endpoints_has_values_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "AT_A_TIME", 10)
    many = 31
    story = make_story(*(make_endpoint(name=f"e{number}") for number in range(many)))
    metrics = watch(story)
    for number in range(many):
        status = 500 if number == 7 else 200
        seen = answer(status, seconds=story.seconds, took=number / 1000)
        if number % 3 == 0:
            seen = replace(seen, phases={Phase.TLS: timedelta(milliseconds=number)})
        if number == 5:
            seen = replace(seen, tls_version="TLSv1.2", certificate=None)
        story.takes(seen, endpoint=f"e{number}")

    series = read(write(metrics, now=story.now))

    for number in range(many):
        name = f"e{number}"
        labels = {"endpoint": name, "target": f"http://{name}.test/", "service": "shop"}
        failing, tls = number == 7, "TLSv1.2" if number == 5 else "TLSv1.3"
        assert value(series, "probe_http_status_code", **labels) == (500 if failing else 200)
        assert value(series, "probe_success", **labels) == (0 if failing else 1)
        assert value(series, "probe_duration_seconds", **labels) == number / 1000
        assert value(series, "probe_http_duration_seconds", phase="tls", **labels) == (
            None if number % 3 else number / 1000
        )
        assert value(series, "probe_tls_version_info", version=tls, **labels) == 1
        assert (value(series, "probe_ssl_earliest_cert_expiry", **labels) is None) is (number == 5)
        assert value(series, f"{OWN}check_consecutive_failures", check=f"{name}.health") == failing


@pytest.mark.parametrize(
    ("observation", "good"),
    [
        pytest.param(answer(500), 1, id="any answer"),
        pytest.param(
            Observation(
                at=at(0),
                duration=timedelta(seconds=1),
                fault=Fault(code=Code.TIMEOUT, message="no answer"),
            ),
            0,
            id="no answer",
        ),
    ],
)
def test_without_a_health_check_an_answer_is_success(observation: Observation, good: int) -> None:
    certificate = replace(make_check(severity=Severity.LOW), id="api.other")
    story = make_story(make_endpoint(certificate))
    metrics = watch(story)
    story.takes(observation)

    assert re.search(rf"^probe_success{{.*}} {good}.0$", write(metrics, now=at(1)), re.MULTILINE)


def test_each_scrape_shows_the_newest_probe_and_the_newest_labels() -> None:
    story = make_story()
    metrics = watch(story)
    story.sees(200)
    pages = [write(metrics, now=story.now) for _ in range(2)]
    story.sees(500)
    failing = write(metrics, now=story.now)
    story.engine.adopt(
        [replace(make_endpoint(), target="http://moved.test/")], make_directory(), story.now
    )
    moved = write(metrics, now=story.now)

    assert pages[0] == pages[1]
    assert re.search(r"^probe_http_status_code{.*} 200.0$", pages[0], re.MULTILINE)
    assert re.search(r"^probe_http_status_code{.*} 500.0$", failing, re.MULTILINE)
    assert 'target="http://moved.test/"' in moved
    assert 'target="http://api.test/"' not in moved
