"""The modules of blackbox_exporter as endpoints: one for each module, or for each target it has.

Its options and what they mean: https://github.com/prometheus/blackbox_exporter, CONFIGURATION.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from monitor.tools.importing.blackbox_http import draft_http
from monitor.tools.importing.blackbox_others import (
    draft_dns,
    draft_grpc,
    draft_icmp,
    draft_tcp,
    draft_unix,
    draft_websocket,
)
from monitor.tools.importing.credentials import host_and_path
from monitor.tools.importing.draft import Draft, fit_name
from monitor.tools.importing.foreign import Part, Unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from monitor.tools.importing.foreign import Foreign

    Drafter = Callable[[Part, str, Draft], dict[str, Any]]

_DEFAULT_MODULE: Final = "http_2xx"
_PROBERS: Final[Mapping[str, Drafter]] = {
    "http": draft_http,
    "tcp": draft_tcp,
    "unix": draft_unix,
    "icmp": draft_icmp,
    "dns": draft_dns,
    "grpc": draft_grpc,
    "websocket": draft_websocket,
}
_STAND_INS: Final[Mapping[str, str]] = {
    "http": "http://target.invalid/",
    "tcp": "target.invalid:80",
    "unix": "/run/target.sock",
    "icmp": "target.invalid",
    "dns": "target.invalid",
    "grpc": "target.invalid:50051",
    "websocket": "ws://target.invalid/",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a module is pointed at: its name, and how often it is asked, empty for the default."""

    module: str
    target: str
    name: str = ""
    every: str = ""
    where: str = ""


def import_blackbox(foreign: Foreign, targets: Sequence[Target] = ()) -> Draft:
    """Draft endpoints from modules; one that nobody points at a target gets a stand-in.

    Raises Unusable.
    """
    draft = Draft()
    top = Part(foreign, foreign.data, (), draft)
    if "modules" not in top:
        raise Unusable(f"{foreign.where(())}: expected modules, as blackbox_exporter has them")

    modules = dict(top.part("modules").named())
    for name, module in modules.items():
        pointed = [one for one in targets if one.module == name]
        for one in pointed or [Target(module=name, target="")]:
            _draft_endpoint(module, one, draft)
    if any(not any(one.module == name for one in targets) for name in modules):
        why = "say no targets: put yours in the place of target.invalid, or name --prometheus"
        draft.leave(foreign.where(("modules",)), why)
    for one in targets:
        if one.module not in modules:
            draft.leave(
                one.where, f"{one.name} asks for the module {one.module}, which is not there"
            )
    top.end()

    return draft


def targets_of_prometheus(foreign: Foreign, draft: Draft) -> list[Target]:
    """Find what the jobs of a Prometheus point blackbox_exporter at: those that scrape `/probe`.

    What cannot be followed is left over in the draft. Raises Unusable.
    """
    top = Part(foreign, foreign.data, (), draft)
    usual = top.part("global").text("scrape_interval", "1m")
    targets: list[Target] = []
    for job in top.parts("scrape_configs"):
        if job.text("metrics_path") != "/probe":
            continue
        name = job.text("job_name")
        modules = job.part("params").texts("module") or [_DEFAULT_MODULE]
        every = job.text("scrape_interval", usual)
        for group in job.parts("static_configs"):
            targets += [
                Target(
                    module=modules[0],
                    target=one,
                    name=f"{name}-{host_and_path(one)}",
                    every=every,
                    where=group.where("targets"),
                )
                for one in group.texts("targets")
            ]
        for key in job:
            if key.endswith("_sd_configs"):
                job.leave(key, "targets that are discovered are not followed: name them")

    return targets


def _draft_endpoint(module: Part, target: Target, draft: Draft) -> None:
    prober = module.text("prober")
    if prober not in _PROBERS:
        wanted = ", ".join(_PROBERS)
        raise Unusable(f"{module.where('prober')}: expected one of {wanted}, found {prober!r}")

    said = target.target or _STAND_INS[prober]
    drafted = _PROBERS[prober](module.part(prober), said, draft)
    endpoint = {**drafted, "tags": [fit_name(target.module, ())]}  # what `/probe` knows it by
    if target.every:
        endpoint["every"] = target.every
    if timeout := module.text("timeout"):
        endpoint["timeout"] = timeout
    for other in _PROBERS:
        module.drop(other) if other != prober else None
    module.end()
    draft.add_endpoint(target.name or target.module, endpoint, target.where or module.where())
