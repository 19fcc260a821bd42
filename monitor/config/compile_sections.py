"""The sections beside endpoints and services: web, defaults, witnesses, notifiers, store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from monitor.config.compile_endpoints import Pace
from monitor.config.document import Problem
from monitor.config.kinds import read_plugin
from monitor.config.settings import Defaults, WebSection, WitnessSettings
from monitor.config.settings_fields import (
    LONGEST_INTERVAL,
    SHORTEST_INTERVAL,
    between,
    name_problem,
)
from monitor.config.translate import kind_of
from monitor.core.model.witness import Witness
from monitor.options import format_duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from monitor.config.compiled import Plugin
    from monitor.config.document import At
    from monitor.config.findings import Findings
    from monitor.fields import Kind

_INTERVAL: Final = "MONITOR_INTERVAL"
_STORE: Final = "sqlite:///"


def read_web(findings: Findings, data: Mapping[str, object]) -> WebSection:
    """Read where the HTTP interface listens, and who may use it."""
    web, whole = findings.read_partly(WebSection, data.get("web", {}), ("web",))
    if web is None:
        return WebSection()

    names: set[str] = set()
    for index, token in enumerate(web.tokens):
        if token.name in names:
            findings.complain(
                ("web", "tokens", index, "name"), f"two tokens are named {token.name}"
            )
        names.add(token.name)
    if whole and not web.loopback and not web.tokens:
        findings.complain(
            ("web", "listen"),
            f"{web.listen[0]} is reached from elsewhere, which needs web.tokens: "
            "add one, or listen on 127.0.0.1",
        )

    return web


def read_pace(findings: Findings, data: Mapping[str, object], environ: Mapping[str, str]) -> Pace:
    """Read the defaults; `MONITOR_INTERVAL` takes the place of their interval."""
    read, sound = findings.read_partly(Defaults, data.get("defaults", {}), ("defaults",))
    defaults = read or Defaults()
    pace = Pace(defaults=defaults, every=defaults.every, sound=sound)
    if text := environ.get(_INTERVAL, "").strip():
        try:
            pace = replace(pace, every=_read_interval(text), from_environment=True)
        except ValueError as error:
            findings.problems.append(
                Problem(file=_INTERVAL, line=1, column=1, path="", message=str(error))
            )

    if sound and defaults.timeout and defaults.timeout > pace.every:
        findings.complain(
            ("defaults", "timeout"),
            f"a timeout of {format_duration(defaults.timeout)} is longer than the interval of "
            f"{format_duration(pace.every)}{pace.source}: expected at most "
            f"{format_duration(pace.every)}",
        )

    return pace


def _read_interval(text: str) -> timedelta:
    """Read an interval from the environment, where a bare number is milliseconds."""
    bare = text.isascii() and text.isdecimal()
    interval = parse_duration(f"{text}ms" if bare else text)

    return between(SHORTEST_INTERVAL, LONGEST_INTERVAL)(interval)


def read_witnesses(findings: Findings, data: object) -> tuple[Witness, ...]:
    """Read what is asked when a target gives no answer."""
    at: At = ("witnesses",)
    if not isinstance(data, list):
        findings.complain(at, f"expected a list, found {kind_of(data)}")
        return ()

    read = [findings.read(WitnessSettings, item, (*at, index)) for index, item in enumerate(data)]

    return tuple(Witness(tcp=item.tcp, url=item.url) for item in read if item is not None)


def read_notifiers(
    findings: Findings, data: Mapping[str, object], kinds: Mapping[str, Kind]
) -> dict[str, Plugin]:
    """Read each notifier by its name."""
    plugins: dict[str, Plugin] = {}
    for name, written in findings.mapping(data.get("notifiers"), ("notifiers",)).items():
        at = ("notifiers", name)
        if problem := name_problem(name):
            findings.complain(at, problem, key=True)
        plugin = read_plugin(findings, kinds, written, at, what="notifier")
        if plugin is not None:
            plugins[name] = plugin

    return plugins


def read_store(findings: Findings, url: str | None, environ: Mapping[str, str], cwd: Path) -> Path:
    """Give the file of the store; one that is relative is so to the working directory."""
    if url is None:
        state = environ.get("STATE_DIRECTORY", "").partition(":")[0]
        folder = Path(state) if state else Path(".production-monitor")
        return cwd / folder / "monitor.db"

    path = url.removeprefix(_STORE)
    if not url.startswith(_STORE) or not path or "\0" in path or path.endswith("/"):
        findings.complain(
            ("store",), "expected sqlite:////absolute/path or sqlite:///relative/path"
        )

    return cwd / path
