"""The endpoints, alerts and checks of Gatus as endpoints and notifiers.

Its options and what they mean: https://github.com/TwiN/gatus, README.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from monitor.tools.importing.credentials import is_variable
from monitor.tools.importing.draft import Draft
from monitor.tools.importing.foreign import Part, Unusable
from monitor.tools.importing.gatus_conditions import NoCounterpart, draft_condition
from monitor.tools.importing.gatus_endpoints import draft_headers, draft_target, expand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.tools.importing.foreign import Foreign

_FAILURES: Final = 3
_SUCCESSES: Final = 2
_OF_ITS_OWN: Final = (
    "announcements",
    "api-only",
    "concurrency",
    "debug",
    "disable-monitoring-lock",
    "metrics",
    "remote",
    "security",
    "skip-invalid-config-update",
    "storage",
    "ui",
    "web",
)
_WHY_NOT: Final = {
    "maintenance": "write its windows under maintenance",
    "suites": "write it as a journey: steps with captures",
    "tunneling": "nothing is asked through a tunnel",
}


def import_gatus(foreign: Foreign) -> Draft:
    """Draft endpoints and notifiers; raises Unusable."""
    draft = Draft()
    top = Part(foreign, foreign.data, (), draft)
    if "endpoints" not in top and "external-endpoints" not in top:
        raise Unusable(f"{foreign.where(())}: expected endpoints, as Gatus has them")

    usual = _draft_notifiers(top.part("alerting"), draft)
    _draft_witness(top.part("connectivity"), draft)
    for endpoint in top.parts("endpoints"):
        _draft_endpoint(endpoint, usual, draft)
    for endpoint in top.parts("external-endpoints"):
        _draft_heartbeat(endpoint, usual, draft)
    for key, why in _WHY_NOT.items():
        top.leave(key, why)
    for key in _OF_ITS_OWN:
        top.leave(key, "is about Gatus itself; see config/examples/full.yml for what there is here")
    top.end()

    return draft


def _draft_notifiers(alerting: Part, draft: Draft) -> dict[str, Part]:
    """Draft the receivers, and give what each says of its alerts where an endpoint does not."""
    usual: dict[str, Part] = {}
    for kind, provider in alerting.named():
        usual[kind] = provider.part("default-alert")
        if kind == "slack":
            url = provider.text("webhook-url")
            provider.leave("overrides", "one channel gets everything")
            slack = {"webhook_url": _credential(url, provider, draft)}
            draft.add_notifier("slack", {"slack": slack}, provider.where())
        elif kind == "custom":
            url = provider.text("url")
            webhook: dict[str, Any] = {"url": _credential(url, provider, draft)}
            if headers := draft_headers(provider, draft):
                webhook["headers"] = headers
            if (method := provider.text("method", "POST")) in ("POST", "PUT", "PATCH"):
                webhook["method"] = method
            provider.leave("body", "our own JSON is posted: see docs/notifications.md")
            draft.add_notifier("custom", {"webhook": webhook}, provider.where())
        else:
            draft.leave(provider.where(), "there is no such notifier here yet")
            provider.drop(*provider)
        provider.end()

    return usual


def _credential(url: str, provider: Part, draft: Draft) -> str:
    """Keep a variable of theirs, and put one in the place of a URL that is a secret."""
    expanded = expand(url)
    if is_variable(expanded):
        return expanded

    return draft.secret(provider.where(), url, *(str(step) for step in provider.at[1:]), "url")


def _draft_witness(connectivity: Part, draft: Draft) -> None:
    checker = connectivity.part("checker")
    if target := checker.text("target"):
        draft.witnesses.append({"tcp": target})
    checker.drop("interval")  # witnesses are asked when something fails
    checker.end()
    connectivity.end()


def _draft_endpoint(part: Part, usual: Mapping[str, Part], draft: Draft) -> None:
    name, group = part.text("name"), part.text("group")
    if not part.flag("enabled", default=True):
        draft.leave(part.where(), f"{name or 'an endpoint'} is turned off, and left out")
        part.drop(*part)
        return

    drafted = draft_target(part, draft)
    if drafted is None:
        part.drop(*part)
        return

    kind = next(iter(drafted))
    expect = _draft_conditions(part, kind, draft)
    endpoint: dict[str, Any] = {**drafted, "every": _duration(part.text("interval", "60s"))}
    if timeout := part.part("client").text("timeout"):
        endpoint["timeout"] = _duration(timeout)
    if group:
        endpoint["tags"] = [_tag(group)]
    health: dict[str, Any] = {"expect": expect} if expect else {}
    health |= _draft_thresholds(part, usual, draft)
    if health:
        endpoint["health"] = health
    part.drop("ui", "store", "extra-labels")
    part.leave("maintenance-windows", "write them under maintenance, with services")
    part.end()
    draft.add_endpoint(f"{group}-{name}" if group else name, endpoint, part.where())


def _draft_conditions(part: Part, kind: str, draft: Draft) -> list[dict[str, Any]]:
    expect: list[dict[str, Any]] = []
    for index, condition in enumerate(part.texts("conditions")):
        try:
            expect += draft_condition(expand(condition), kind)
        except NoCounterpart as error:
            where = f"{part.where('conditions')}[{index}]"
            draft.leave(where, f"{condition!r} has no counterpart: {error}")
    if kind == "url" and not any("status" in one for one in expect):
        expect.insert(0, {"status": {"between": [100, 599]}})  # what no condition speaks of is well

    return expect


def _draft_thresholds(part: Part, usual: Mapping[str, Part], draft: Draft) -> dict[str, Any]:
    """Draft the thresholds of the alerts of an endpoint: where they differ, the quickest."""
    failures, successes = [], []
    for alert in part.parts("alerts"):
        default = usual.get(alert.text("type"))
        if alert.flag("enabled", default.flag("enabled", True) if default else True):
            failures.append(_threshold(alert, default, "failure-threshold", _FAILURES))
            successes.append(_threshold(alert, default, "success-threshold", _SUCCESSES))
        alert.drop("description", "send-on-resolved", "enabled")
        alert.drop("failure-threshold", "success-threshold")
        alert.leave("provider-override", "one receiver gets everything")
        alert.leave("minimum-reminder-interval", "reminders are not there yet")
        alert.end()
    if len(set(failures)) > 1 or len(set(successes)) > 1:
        draft.leave(part.where("alerts"), "the thresholds differ: a check has one, the quickest")

    drafted: dict[str, Any] = {}
    if failures and min(failures) != _FAILURES:
        drafted["failure_threshold"] = min(failures)
    if successes and min(successes) != _SUCCESSES:
        drafted["success_threshold"] = min(successes)

    return drafted


def _threshold(alert: Part, default: Part | None, key: str, usual: int) -> int:
    return alert.number(key, default.number(key, usual) if default else usual)


def _draft_heartbeat(part: Part, usual: Mapping[str, Part], draft: Draft) -> None:
    name, group = part.text("name"), part.text("group")
    if not part.flag("enabled", default=True):
        draft.leave(part.where(), f"{name or 'an endpoint'} is turned off, and left out")
        part.drop(*part)
        return

    period = part.part("heartbeat").text("interval")
    if not period:
        draft.leave(part.where(), "is pushed at no interval: a heartbeat needs a period or a cron")
        part.drop(*part)
        return

    token = expand(part.text("token"))
    key = token
    if not is_variable(token):
        key = draft.secret(part.where("token"), token, name, "ping_key")
    endpoint: dict[str, Any] = {"heartbeat": {"period": _duration(period), "key": key}}
    if group:
        endpoint["tags"] = [_tag(group)]
    if thresholds := _draft_thresholds(part, usual, draft):
        endpoint["health"] = thresholds
    part.end()
    draft.add_endpoint(f"{group}-{name}" if group else name, endpoint, part.where())


def _tag(group: str) -> str:
    return "".join(char if char.isalnum() or char in "_-" else "-" for char in group).strip("-")


def _duration(text: str) -> str:
    """Write a duration of Go's as one of ours: the same, but for `1m0s` and fractions."""
    return text.replace("µs", "us")
