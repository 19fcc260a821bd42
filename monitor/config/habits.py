"""What people write who know another tool, or the shell: what is meant here, and its shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.config.suggest import closest
from monitor.config.translate import keys_of, models_in
from monitor.core.expectations.shown import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.fields import Kind

_MEANT: Final[Mapping[str, str]] = {
    "interval": "every",
    "frequency": "every",
    "scrape_interval": "every",
    "scrape_timeout": "timeout",
    "group": "service",
    "labels": "tags",
}
_OF_HEALTH: Final[Mapping[str, str]] = {
    "expect": "[…]",
    "failure_threshold": "3",
    "success_threshold": "2",
    "severity": "high",
}
_EXPECTED: Final[Mapping[str, str]] = {
    "conditions": "status: 200",
    "assertions": "status: 200",
    "status": "status: 200",
    "body": "body: {contains: ok}",
    "json": "json: $.status, equals: ok",
    "response_time": "response_time: {lt: 3s}",
}
"""What is judged elsewhere under a key of its own, and how an expectation says it."""

_OTHERWISE: Final[Mapping[str, str]] = {
    "alerts": "notifiers stand at the top of the file, and routes beside them say who gets what",
    "name": "an endpoint is named by the key that leads to it",
    "notify": "notifiers stand at the top of the file, and routes beside them say who gets what",
    "retries": "failures in a row are counted, as in health: {failure_threshold: 3}",
    "type": "the kind of probe is a key itself, as in url: https://shop.example/",
}
"""What is done in another way here."""


def say_where(key: object, data: Mapping[str, object], kinds: Mapping[str, Kind]) -> str:
    """Say what an unknown key of an endpoint means here, or where it belongs; else nothing."""
    name = str(key)
    if meant := _MEANT.get(name):
        return f"unknown key {plain(name)}; did you mean {meant}?"
    if example := _OF_HEALTH.get(name):
        return f"{name} belongs below health, as in health: {{{name}: {example}}}"
    for kind in (one for one in kinds if one in data):
        if way := _find_way(name, kind, kinds[kind]):
            *above, last = way
            opened = "".join(f"{step}: {{" for step in above)
            return (
                f"{plain(name)} belongs below {'.'.join(above)}, "
                f"as in {opened}{plain(last)}: …{'}' * len(above)}"
            )
    if example := _EXPECTED.get(name):
        return (
            f"unknown key {plain(name)}: what is healthy belongs below health, "
            f"as in health: {{expect: [{{{example}}}]}}"
        )
    if otherwise := _OTHERWISE.get(name):
        return f"unknown key {plain(name)}: {otherwise}"

    return ""


def _find_way(key: str, kind: str, made: Kind) -> tuple[str, ...]:
    """Give the way to an option of a kind, or of the parts of it, that has this name."""
    above = () if made.flat else (kind,)
    known = keys_of(made.options)
    if key in known and above:
        return (*above, key)
    for name, field in made.options.model_fields.items():
        if any(key in keys_of(model) for model in models_in(field.annotation)):
            return (*above, name, key)
    meant = closest(key, known) if above else None

    return (*above, meant) if meant else ()
