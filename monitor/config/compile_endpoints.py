"""From the settings of an endpoint to its record, its checks and the options of its probe."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from monitor.config.compile_checks import Checks, digest
from monitor.config.compile_rules import Rules
from monitor.config.compiled import find_ping_keys
from monitor.config.habits import say_where
from monitor.config.kinds import own_data, read_flat, read_plugin, suggest_place
from monitor.config.masking import mask
from monitor.config.settings import DEFAULT_TIMEOUT, EndpointSettings
from monitor.config.settings_fields import name_problem
from monitor.config.translate import found, keys_of
from monitor.core.headers import Policy
from monitor.core.model.endpoint import (
    Check,
    Endpoint,
    HeadersRule,
)
from monitor.core.wording.phrases import LONGEST_QUESTION, one_line
from monitor.options import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from monitor.config.compiled import Plugin
    from monitor.config.document import At
    from monitor.config.findings import Findings
    from monitor.config.settings import Defaults
    from monitor.fields import Kinds
    from monitor.probes.kind import ProbeKind, ProbeOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The defaults, with the interval that `MONITOR_INTERVAL` may have put in their place.

    `sound` says that nothing is wrong with them, so that other times can be held against them.
    """

    defaults: Defaults
    every: timedelta
    from_environment: bool = False
    sound: bool = True

    @property
    def source(self) -> str:
        """Where the default interval comes from, for messages."""
        return " that MONITOR_INTERVAL sets" if self.from_environment else ""


@dataclass(slots=True, kw_only=True)
class Watched:
    """What became of all endpoints: those that are right, and the names of the others."""

    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    probes: dict[str, Plugin] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    services: set[str] = field(default_factory=set)

    @property
    def checks(self) -> dict[str, tuple[Check, Endpoint]]:
        """Each check by its name, with its endpoint."""
        return {
            check.id: (check, endpoint)
            for endpoint in self.endpoints.values()
            for check in endpoint.checks
        }


def compile_endpoints(
    findings: Findings, raw: Mapping[str, object], kinds: Kinds[ProbeKind], pace: Pace
) -> Watched:
    """Compile each endpoint; mistakes go to the findings."""
    watched = Watched()
    reading = _Reading(
        findings=findings,
        kinds=kinds,
        keys=(*keys_of(EndpointSettings), *kinds.taken),
        pace=pace,
        rules=Rules(findings),
    )
    for name, data in raw.items():
        at = ("endpoints", name)
        if problem := name_problem(name):
            findings.complain(at, problem, key=True)

        written = {"url": data} if isinstance(data, str) else data
        if not isinstance(written, dict):
            findings.complain(at, f"expected a URL or a map, found {found(data)}")
            watched.failed.add(name)
            continue

        service = written.get("service", name)
        watched.services.add(service if isinstance(service, str) else name)
        made = reading.compile(name, written)
        if made is None:
            watched.failed.add(name)
        else:
            watched.endpoints[name], watched.probes[name] = made
    _refuse_shared_keys(findings, watched)

    return watched


def _refuse_shared_keys(findings: Findings, watched: Watched) -> None:
    """Refuse two heartbeats with one key: nobody could tell whose ping it is."""
    owners: dict[str, str] = {}
    for name, key in find_ping_keys(watched.probes).items():
        owner = owners.setdefault(key.current, name)
        if owner != name:
            findings.complain(
                ("endpoints", name, watched.probes[name].kind, "key"),
                f"expected a key of its own, found that of {owner}",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """One reading of all endpoints; settings that are written alike are validated once."""

    findings: Findings
    kinds: Mapping[str, ProbeKind]
    keys: tuple[str, ...]
    pace: Pace
    rules: Rules
    alike: dict[str, EndpointSettings] = field(default_factory=dict)

    def compile(self, name: str, data: Mapping[str, object]) -> tuple[Endpoint, Plugin] | None:
        """Compile one endpoint, or complain about it."""
        at, pace = ("endpoints", name), self.pace
        known = self.findings.known_keys(
            data, self.keys, at, lambda key: say_where(key, data, self.kinds)
        )
        settings, whole = self._settings(data, at)
        plugin = self._probe(data, at)
        if settings is None:
            return None

        options: ProbeOptions | None = plugin.options if plugin else None
        target = (options.target if options else "") or name
        question = one_line(options.question, LONGEST_QUESTION) if options else ""
        asked = f"{target} {question}" if question else target
        traits = self.kinds[plugin.kind] if plugin else None
        every = settings.every or _usual_pace(traits, pace)
        timeout = settings.timeout or pace.defaults.timeout or min(DEFAULT_TIMEOUT, every)
        timed = whole and known and pace.sound
        if timed:
            _check_timeout(self.findings, settings, at, pace)

        checks = Checks(
            findings=self.findings,
            rules=self.rules,
            at=at,
            name=name,
            service=settings.service or name,
            kind=plugin.kind if plugin else "",
            traits=traits,
            target=asked,
            defaults=pace.defaults,
            tls=options.shows_certificate if options else True,
            healthy=options.healthy if options else (),
            untold=options.untold if options else {},
            redirected=options.may_redirect_to_https if options else True,
            request=_digest_request(plugin, self.kinds, data) if plugin else "",
            every=every,
            timeout=timeout,
            timed=timed,
        ).make(settings)
        if plugin is None or options is None or not whole:
            return None

        endpoint = Endpoint(
            name=name,
            service=settings.service or name,
            kind=plugin.kind,
            target=target,
            every=every,
            retry_every=min(settings.retry_every or pace.defaults.retry_every, every),
            timeout=timeout,
            checks=checks,
            tags=frozenset(settings.tags),
            witnessed=settings.witnesses and options.witnessed,
            preflight=_asks_preflight(checks),
            beats=options.beats,
        )

        return endpoint, plugin

    def _probe(self, data: Mapping[str, object], at: At) -> Plugin | None:
        """Read the kind of probe, and compile what it judges itself."""
        plugin = _read_probe(self.findings, data, self.kinds, at)
        judges = self.kinds[plugin.kind].judges if plugin else None
        if plugin is None or judges is None:
            return plugin

        compiled = {
            place: self.rules.expectations(raw, (*at, plugin.kind, *place))
            for place, raw in judges(plugin.options)
        }

        return replace(plugin, expectations=compiled)

    def _settings(self, data: Mapping[str, object], at: At) -> tuple[EndpointSettings | None, bool]:
        """Read what every endpoint has, and say whether it is whole."""
        own = {key: data[key] for key in keys_of(EndpointSettings) if key in data}
        if self.findings.has_variables(at):  # what they stand for is not seen in the repr
            return self.findings.read_partly(EndpointSettings, own, at)

        written = repr(own)
        if known := self.alike.get(written):
            return known, True

        settings, whole = self.findings.read_partly(EndpointSettings, own, at)
        if settings is not None and whole:
            self.alike[written] = settings

        return settings, whole


def _usual_pace(traits: ProbeKind | None, pace: Pace) -> timedelta:
    """Give the default interval; a kind may look more often, where looking costs nothing."""
    own = traits.rhythm.every if traits else None

    return pace.every if own is None else min(own, pace.every)


def _asks_preflight(checks: Sequence[Check]) -> bool:
    """Whether a check judges what a foreign origin may do."""
    return any(
        rule.policy is Policy.CORS
        for check in checks
        if isinstance(check.rule, HeadersRule)
        for rule in check.rule.policies
    )


def _read_probe(
    findings: Findings, data: Mapping[str, object], kinds: Mapping[str, ProbeKind], at: At
) -> Plugin | None:
    """Read the options of the one kind that an endpoint names."""
    named = [name for name in kinds if name in data]
    if not named:
        wanted = next(iter(kinds)) if len(kinds) == 1 else f"one of {', '.join(kinds)}"
        findings.complain(at, f"nothing says what to ask: expected {wanted}", key=True)
        return None
    if len(named) > 1:
        both = " and ".join(named) + suggest_place(named, kinds)
        findings.complain(at, f"expected exactly one kind of probe, found {both}")
        return None

    (name,) = named
    if kinds[name].flat:
        return read_flat(findings, name, kinds[name], data, at)

    return read_plugin(findings, kinds, {name: data[name]}, at, what="probe")


def _check_timeout(findings: Findings, settings: EndpointSettings, at: At, pace: Pace) -> None:
    """Refuse what would still be waiting for one answer when the next is due."""
    every = settings.every or pace.every
    if settings.timeout is not None and settings.timeout > every:
        source = "" if settings.every else pace.source
        findings.complain(
            (*at, "timeout"),
            f"a timeout of {format_duration(settings.timeout)} is longer than the interval of "
            f"{format_duration(every)}{source}: expected at most {format_duration(every)}",
        )
    default = pace.defaults.timeout
    if settings.timeout is None and settings.every and default and default > every:
        findings.complain(
            (*at, "every"),
            f"an interval of {format_duration(every)} is shorter than defaults.timeout, "
            f"{format_duration(default)}: give this endpoint a timeout of at most "
            f"{format_duration(every)}",
        )


def _digest_request(
    plugin: Plugin, kinds: Mapping[str, ProbeKind], data: Mapping[str, object]
) -> str:
    """Digest what is asked, without its secrets: a new credential restarts no count."""
    request = own_data(kinds[plugin.kind], plugin.kind, data)

    return digest(plugin.kind, mask(request, plugin.options.secrets))
