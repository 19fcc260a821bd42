"""Services: the directory, what trips a rollback by default, and its steps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.endpoint import Severity
from monitor.core.model.notice import Contact, Link
from monitor.core.model.rollback import Mode
from monitor.core.model.service import (
    LevelPlan,
    Limits,
    Proof,
    RollbackPolicy,
    Service,
    StepPlan,
    VersionSource,
)
from tests.support.configuring import configure, mistakes

if TYPE_CHECKING:
    from pathlib import Path

ENDPOINTS = """\
endpoints:
  api: {url: https://api.shop.example/, service: shop, certificate: {expires_in: {gt: 14d}}}
  home: {url: https://www.shop.example/, service: shop}
  mail: https://mail.shop.example/
"""


def rollback(folder: Path, body: str) -> RollbackPolicy:
    text = f"{ENDPOINTS}services: {{shop: {{rollback: {body}}}}}"
    policy = configure(folder, text).directory.service("shop").rollback
    assert policy is not None

    return policy


def test_a_service_exists_for_each_endpoint_that_names_one(tmp_path: Path) -> None:
    directory = configure(tmp_path, ENDPOINTS).directory

    assert dict(directory.services) == {"shop": Service(name="shop"), "mail": Service(name="mail")}


def test_a_declared_service_has_contacts_links_and_a_version(tmp_path: Path) -> None:
    text = f"""\
{ENDPOINTS}
environment: production
location: eu-west
web: {{public_url: "https://monitor.shop.example/"}}
notifiers: {{record: {{log: {{}}}}, again: {{log: }}}}
services:
  mail:
  shop:
    description: Public shop
    contacts: {{commander: "@ana", on_call: "@web", plumber: "@joe"}}
    links: {{graphs: https://graphs.example/}}
    runbook: https://wiki.example/shop
    version: {{endpoint: api, json: $.version}}
"""

    directory = configure(tmp_path, text).directory

    assert (directory.environment, directory.location) == ("production", "eu-west")
    assert directory.public_url == "https://monitor.shop.example"
    assert directory.notifiers == ("record", "again")
    assert directory.service("mail") == Service(name="mail")
    assert directory.service("shop") == Service(
        name="shop",
        description="Public shop",
        contacts=(
            Contact(role="commander", name="@ana"),
            Contact(role="on_call", name="@web"),
            Contact(role="plumber", name="@joe"),
        ),
        links=(
            Link(name="runbook", url="https://wiki.example/shop"),
            Link(name="graphs", url="https://graphs.example/"),
        ),
        version=VersionSource(endpoint="api", json="$.version"),
    )


def test_the_short_form_is_tripped_by_any_health_check_of_the_service(tmp_path: Path) -> None:
    text = (
        f"{ENDPOINTS}services: {{shop: "
        "{rollback: {mode: automatic, steps: [{command: [/bin/true]}]}}}"
    )
    compiled = configure(tmp_path, text)

    policy = compiled.directory.service("shop").rollback
    assert policy is not None
    assert replace(policy, plan="") == RollbackPolicy(
        mode=Mode.AUTOMATIC,
        modes={},
        triggers=("api.health", "home.health"),
        at_least=1,
        levels=(LevelPlan(steps=(StepPlan(number=1, kind="command"),)),),
        within=timedelta(minutes=30),
        certify_after=timedelta(minutes=10),
        verify_within=timedelta(minutes=5),
        limits=Limits(),
    )
    (step,) = compiled.hooks["shop"]
    assert (step.kind, step.options.run) == ("command", ["/bin/true"])


@pytest.mark.parametrize(
    ("steps", "same"),
    [
        pytest.param("[{command: [/bin/true]}, {command: [/bin/false]}]", True, id="the same"),
        pytest.param("[{command: [/bin/false]}, {command: [/bin/true]}]", False, id="turned"),
        pytest.param("[{command: [/bin/true]}]", False, id="fewer"),
        pytest.param("[{command: [/bin/true]}, {command: [/bin/false, x]}]", False, id="another"),
    ],
)
def test_a_plan_is_known_by_what_its_steps_are(tmp_path: Path, steps: str, same: bool) -> None:
    before = rollback(tmp_path, "{steps: [{command: [/bin/true]}, {command: [/bin/false]}]}")

    after = rollback(tmp_path, f"{{steps: {steps}, certify_after: 20m}}")

    assert (after.plan == before.plan) is same
    assert before.plan


def test_a_rollback_observes_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    assert rollback(tmp_path, "{}").mode is Mode.OBSERVE


@pytest.mark.parametrize(
    ("when", "triggers", "at_least"),
    [
        ("any: [api.health, api.certificate]", ("api.health", "api.certificate"), 1),
        ("all: [api.health, home.health]", ("api.health", "home.health"), 2),
        ("at_least: 1, of: [home.health]", ("home.health",), 1),
        ("at_least: 2, of: [home.health, api.health]", ("home.health", "api.health"), 2),
        ("within: 1h", ("api.health", "home.health"), 1),
    ],
)
def test_when_says_which_checks_and_how_many(
    tmp_path: Path, when: str, triggers: tuple[str, ...], at_least: int
) -> None:
    policy = rollback(tmp_path, f"{{when: {{{when}}}}}")

    assert (policy.triggers, policy.at_least) == (triggers, at_least)


def test_every_part_of_a_policy_can_be_written(tmp_path: Path) -> None:
    policy = rollback(
        tmp_path,
        "{mode: off, modes: {critical: automatic, low: {mode: observe}}, when: {within: 1h}, "
        "certify_after: 2m, verify: {within: 3m}, "
        "steps: [{command: [/bin/true]}, "
        "{webhook: {url: 'https://ops.example/', idempotent: true}}], "
        "limits: {per_deploy: 1, per_day: 4, fleet_per_hour: 6, cooldown: 0s}}",
    )

    assert policy.mode is Mode.OFF
    assert policy.modes == {Severity.CRITICAL: Mode.AUTOMATIC, Severity.LOW: Mode.OBSERVE}
    assert (policy.within, policy.certify_after) == (timedelta(hours=1), timedelta(minutes=2))
    assert policy.verify_within == timedelta(minutes=3)
    assert policy.levels[0].steps == (
        StepPlan(number=1, kind="command"),
        StepPlan(number=2, kind="webhook", idempotent=True),
    )
    assert policy.limits == Limits(per_deploy=1, per_day=4, fleet_per_hour=6, cooldown=timedelta(0))


def test_what_a_verification_asks_besides_is_read(tmp_path: Path) -> None:
    policy = rollback(
        tmp_path,
        "{when: {any: [api.health]}, verify: {within: 10m, expect: "
        "[{check: api.health, passes: 6}, {check: home.health, within: 2m}]}}",
    )

    assert policy.proofs == (
        Proof(check="api.health", passes=6, within=timedelta(minutes=10)),
        Proof(check="home.health", passes=1, within=timedelta(minutes=2)),
    )


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ("{check: api.helth}", "unknown check api.helth; did you mean api.health?"),
        ("{check: api.health, passes: 90}", "can never be shown in time: 90 passes of api.health"),
        ("{check: api.health, within: 1h}", "1h is longer than verify.within, 5m"),
        ("{check: api.health, passes: 0}", "expected at least 1"),
    ],
)
def test_what_a_verification_could_never_see_is_refused(
    tmp_path: Path, expect: str, message: str
) -> None:
    text = f"""\
        endpoints: {{api: https://api.example/}}
        services: {{api: {{rollback: {{verify: {{expect: [{expect}]}}}}}}}}
    """

    (told,) = mistakes(tmp_path, text)
    assert message in told


def test_a_hook_is_found_beside_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    script = tmp_path / "conf.d" / "restore.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    (tmp_path / "conf.d" / "mail.yml").write_text(
        "services: {mail: {rollback: {steps: [{command: [./restore.sh]}]}}}\n"
    )

    compiled = configure(tmp_path, f"include: [conf.d/*.yml]\n{ENDPOINTS}")

    assert compiled.hooks["mail"][0].options.program == str(script)


def test_a_hook_that_others_may_write_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "restore.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o777)
    text = f"{ENDPOINTS}services: {{mail: {{rollback: {{steps: [{{command: [./restore.sh]}}]}}}}}}"

    (told,) = mistakes(tmp_path, text)

    assert "services.mail.rollback.steps[0].command: " in told
    assert "may be written by others" in told


def test_references_to_an_endpoint_that_is_wrong_itself_are_not_blamed(tmp_path: Path) -> None:
    text = """\
        endpoints: {api: {url: https://api.shop.example/, every: 5}}
        services:
          api:
            version: {endpoint: api, header: x-release}
            rollback: {when: {any: [api.health]}}
    """

    assert len(mistakes(tmp_path, text)) == 1


def test_a_check_that_no_trip_waits_for_may_open_late(tmp_path: Path) -> None:
    text = """\
        endpoints:
          fast: {url: https://a.example/, service: shop}
          slow: {url: https://b.example/, service: shop, every: 1h, retry_every: 30m}
        services: {shop: {rollback: {when: {%s}, verify: {within: 2h}}}}
    """

    assert mistakes(tmp_path, text % "any: [fast.health, slow.health]") == []
    assert len(mistakes(tmp_path, text % "all: [fast.health, slow.health]")) == 1


def test_a_latency_window_has_to_close_within_the_verification(tmp_path: Path) -> None:
    text = """\
        endpoints:
          api: {url: https://a.example/, every: 5s, latency: {p95: {lt: 1s, window: 2m}}}
        services: {api: {rollback: {when: {any: [api.latency.p95]}, verify: {within: %s}}}}
    """

    assert mistakes(tmp_path, text % "4m") == []
    assert mistakes(tmp_path, text % "3m") == [
        "3:78: services.api.rollback.verify.within: recovery can never be seen in time: "
        "api.latency.p95 needs 2 passes, at least 4m, found 3m"
    ]


def test_nothing_is_said_to_be_missing_while_a_file_is_unreadable(tmp_path: Path) -> None:
    text = """\
        include: [missing.yml]
        services: {web: {version: {endpoint: web, header: x-release}}}
    """

    (told,) = mistakes(tmp_path, text)

    assert told.startswith("1:11: include[0]: missing.yml does not exist")
