"""From the settings of rollbacks and remedies to policies, and to the hooks of their steps."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from monitor.config.kinds import read_plugin
from monitor.config.settings_fields import name_problem
from monitor.config.settings_rollback import RollbackSettings, WhenSettings
from monitor.core.expectations.shown import plain
from monitor.core.model.endpoint import RateRule, Signal, WindowRule
from monitor.core.model.rollback import RollbackKind
from monitor.core.model.service import LevelPlan, Limits, Proof, RollbackPolicy, StepPlan
from monitor.core.thresholds import verdicts_to_open
from monitor.options import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from monitor.config.compile_endpoints import Watched
    from monitor.config.compiled import Plugin
    from monitor.config.document import At
    from monitor.config.findings import Findings
    from monitor.config.settings_rollback import (
        ModeSettings,
        OpenSettings,
        ProofSettings,
        RemedySettings,
        VerifySettings,
    )
    from monitor.core.model.endpoint import Check, Endpoint
    from monitor.fields import Kind


class PolicyCompiler:
    """Compiles what is tried for services, one after the other, over the same endpoints.

    `hooks` are those of all steps of a service, of its rollback and its remedy, in one row.
    """

    def __init__(self, findings: Findings, watched: Watched, kinds: Mapping[str, Kind]) -> None:
        self.findings = findings
        self.watched = watched
        self.kinds = kinds
        self.checks = watched.checks
        self.hooks: dict[str, tuple[Plugin, ...]] = {}

    def policy(
        self, service: str, settings: RollbackSettings | RemedySettings, at: At, *, whole: bool
    ) -> RollbackPolicy:
        """Compile one policy; where its section is not `whole`, its times are not judged."""
        before = len(self.hooks.get(service, ()))
        levels = self._levels(service, settings, at)
        triggers, at_least = self._triggers(service, settings.when, at)
        if whole:
            self._check_times(settings, triggers, at_least, at)
        policy = RollbackPolicy(
            kind=_kind_of(settings),
            mode=settings.mode.mode,
            modes={severity: one.mode for severity, one in settings.modes.items()},
            wait=_wait_of(settings.mode),
            waits={
                severity: wait
                for severity, one in settings.modes.items()
                if (wait := _wait_of(one)) is not None
            },
            triggers=triggers,
            at_least=at_least,
            levels=levels,
            verify_within=settings.verify.within,
            proofs=self._proofs(settings.verify, (*at, "verify", "expect")),
            limits=Limits(
                per_day=settings.limits.per_day,
                fleet_per_hour=settings.limits.fleet_per_hour,
                cooldown=settings.limits.cooldown,
            ),
            plan=_name_plan(levels, self.hooks.get(service, ())[before:]),
        )
        if not isinstance(settings, RollbackSettings):
            return policy

        return replace(policy, within=settings.when.within, certify_after=settings.certify_after)

    def _levels(
        self, service: str, settings: RollbackSettings | RemedySettings, at: At
    ) -> tuple[LevelPlan, ...]:
        """Compile the levels, of which steps alone are one; never half of them."""
        complaints = len(self.findings.problems)
        hooks = self.hooks.get(service, ())
        levels: list[LevelPlan] = []
        if settings.steps:
            plans, plugins = self._steps(settings.steps, (*at, "steps"))
            levels.append(
                LevelPlan(steps=plans, name=_kind_of(settings).value, first_hook=len(hooks))
            )
            hooks += plugins
        for index, level in enumerate(settings.levels):
            plans, plugins = self._steps(level.steps, (*at, "levels", index, "steps"))
            levels.append(
                LevelPlan(
                    steps=plans,
                    name=level.name,
                    recover_within=level.recover_within,
                    first_hook=len(hooks),
                )
            )
            hooks += plugins
        if not levels or len(self.findings.problems) > complaints:
            return ()

        self.hooks[service] = hooks

        return tuple(levels)

    def _steps(
        self, steps: Sequence[object], at: At
    ) -> tuple[tuple[StepPlan, ...], tuple[Plugin, ...]]:
        """Compile the steps of one level."""
        plans: list[StepPlan] = []
        plugins: list[Plugin] = []
        for index, step in enumerate(steps):
            place = (*at, index)
            name, data = self._split_name(step, place)
            plugin = read_plugin(self.findings, self.kinds, data, place, what="step")
            if plugin is None:
                continue
            plugins.append(plugin)
            plans.append(
                StepPlan(
                    number=index + 1,
                    kind=plugin.kind,
                    idempotent=bool(getattr(plugin.options, "idempotent", False)),
                    name=name,
                )
            )

        return tuple(plans), tuple(plugins)

    def _split_name(self, step: object, at: At) -> tuple[str, object]:
        """Give the name of a step, which the timeline calls it by, and the rest of it."""
        if not isinstance(step, dict) or "name" not in step:
            return "", step

        name = step["name"]
        if not isinstance(name, str) or name_problem(name) or "." not in name:
            self.findings.complain(
                (*at, "name"),
                "expected a name with a dot in it, of letters, digits, dots, dashes and "
                "underscores, such as escrow.rollback",
            )

        return str(name), {key: value for key, value in step.items() if key != "name"}

    def _triggers(self, service: str, when: OpenSettings, at: At) -> tuple[tuple[str, ...], int]:
        """Give the checks that may trip a rollback, and how many of them it takes."""
        for key, names in (("any", when.any_of), ("all", when.all_of), ("of", when.of)):
            if names is not None:
                self._check_triggers(service, names, (*at, "when", key))
                least = {"any": 1, "all": len(names), "of": when.at_least or 1}[key]
                return tuple(names), least

        triggers = tuple(
            id
            for id, (check, _) in self.checks.items()
            if check.service == service and check.signal is Signal.HEALTH
        )
        if not triggers and not self.watched.failed and service in self.watched.services:
            self.findings.complain(
                at,
                "nothing can trip it: no endpoint of the service has a health check; "
                "name checks in when.any",
                key=True,
            )

        return triggers, 1

    def _proofs(self, settings: VerifySettings, at: At) -> tuple[Proof, ...]:
        """Give what is asked after the effect; refuse what could never be seen in time."""
        proofs: dict[str, Proof] = {}
        for index, one in enumerate(settings.expect):
            place = (*at, index)
            within = one.within or settings.within
            known = self.checks.get(one.check)
            if one.check in proofs:
                self.findings.complain((*place, "check"), f"{plain(one.check)} is named twice")
            elif known is None and not self._of_failed(one.check):
                self.findings.dangling((*place, "check"), "check", one.check, self.checks)
            elif within > settings.within:
                self.findings.complain(
                    (*place, "within"),
                    f"{format_duration(within)} is longer than verify.within, "
                    f"{format_duration(settings.within)}",
                )
            elif known is not None:
                self._check_proof(one, within, *known, at=place)
            proofs[one.check] = Proof(check=one.check, passes=one.passes, within=within)

        return tuple(proofs.values())

    def _check_proof(
        self, proof: ProofSettings, within: timedelta, check: Check, endpoint: Endpoint, *, at: At
    ) -> None:
        apart = check.rule.window if isinstance(check.rule, WindowRule) else endpoint.every
        needed = proof.passes * apart
        if needed > within:
            self.findings.complain(
                at,
                f"can never be shown in time: {proof.passes} passes of {check.id} take "
                f"{format_duration(needed)}, found {format_duration(within)}",
            )

    def _check_triggers(self, service: str, names: Sequence[str], at: At) -> None:
        seen: set[str] = set()
        for index, name in enumerate(names):
            place = (*at, index)
            known = self.checks.get(name)
            if name in seen:
                self.findings.complain(place, f"{plain(name)} is named twice")
            elif known is None and not self._of_failed(name):
                meant = f"; did you mean {name}.health?" if f"{name}.health" in self.checks else ""
                self.findings.dangling(place, "check", name, self.checks, meant)
            elif known is not None and known[0].service != service:
                self.findings.complain(
                    place,
                    f"{name} is a check of {known[0].service}, expected one of {service}",
                )
            seen.add(name)

    def _check_times(
        self,
        settings: RollbackSettings | RemedySettings,
        triggers: Sequence[str],
        at_least: int,
        at: At,
    ) -> None:
        """Refuse times in which a trip, or a recovery, could never be seen."""
        known = [self.checks[name] for name in triggers if name in self.checks]
        if len(known) < len(triggers):
            return

        opening = sorted(_opens_after(check, endpoint) for check, endpoint in known)
        when = settings.when
        if known and isinstance(when, WhenSettings) and opening[at_least - 1] > when.within:
            self.findings.complain(
                (*at, "when", "within"),
                "can never trip: its checks need at least "
                f"{format_duration(opening[at_least - 1])} to open, "
                f"found {format_duration(when.within)}",
            )
        given = [
            ((*at, "levels", index, "recover_within"), level.recover_within)
            for index, level in enumerate(settings.levels)
            if level.recover_within is not None
        ]
        for place, within in [((*at, "verify", "within"), settings.verify.within), *given]:
            self._check_recovery(known, within, place)

    def _check_recovery(
        self, known: Sequence[tuple[Check, Endpoint]], within: timedelta, at: At
    ) -> None:
        for check, endpoint in known:
            needed = _closes_after(check, endpoint)
            if needed > within:
                self.findings.complain(
                    at,
                    f"recovery can never be seen in time: {check.id} needs "
                    f"{check.success_threshold} passes, at least {format_duration(needed)}, "
                    f"found {format_duration(within)}",
                )
                return

    def _of_failed(self, check: str) -> bool:
        """Whether an endpoint is named that is wrong itself; a check has one word or two."""
        endpoint = check.rpartition(".")[0]

        return not self.watched.failed.isdisjoint((endpoint, endpoint.rpartition(".")[0]))


def _kind_of(settings: RollbackSettings | RemedySettings) -> RollbackKind:
    return RollbackKind.ROLLBACK if isinstance(settings, RollbackSettings) else RollbackKind.REMEDY


def _wait_of(settings: ModeSettings) -> timedelta | None:
    return settings.countdown or settings.expires


def _opens_after(check: Check, endpoint: Endpoint) -> timedelta:
    """How long after its first failing sample a check opens at the earliest."""
    fails = verdicts_to_open(check.failure_threshold)
    if isinstance(check.rule, WindowRule):
        return fails * check.rule.window

    return (fails - 1) * _pace(check, endpoint)


def _closes_after(check: Check, endpoint: Endpoint) -> timedelta:
    """How long after its first passing sample a check closes at the earliest."""
    if isinstance(check.rule, WindowRule):
        return check.success_threshold * check.rule.window

    return (check.success_threshold - 1) * _pace(check, endpoint)


def _pace(check: Check, endpoint: Endpoint) -> timedelta:
    """How soon one verdict follows another while a check is on its way up or down."""
    return endpoint.every if isinstance(check.rule, RateRule) else endpoint.retry_every


def _name_plan(levels: Sequence[LevelPlan], plugins: Sequence[Plugin]) -> str:
    """Name what the steps are, in their order; a secret that is rotated changes nothing of it."""
    steps = [(number, step) for number, level in enumerate(levels, 1) for step in level.steps]
    said = [
        f"{level}.{step.number} {step.name} {plugin.kind} {plugin.options!r}"
        for (level, step), plugin in zip(steps, plugins, strict=False)
    ]

    return sha256("\n".join(said).encode()).hexdigest()[:16] if said else ""
