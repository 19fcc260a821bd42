"""`check-config` and `schema`: is the configuration right, and what may be in it."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Final

import click

from monitor.cli.common import count, find_config, mistakes_end_it

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.config import Compiled

_MOST_NAMED: Final = 5


@click.command("check-config", short_help="Tell every mistake in the configuration at once.")
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path())
@click.option(
    "--show",
    is_flag=True,
    help="Print all files as one, as JSON: what is written, without the defaults, secrets masked.",
)
@click.option(
    "--allow-unset",
    is_flag=True,
    help="Accept variables and credentials that are not set here, as in CI or beside a service.",
)
@click.option(
    "--explain-route",
    "explained",
    nargs=2,
    metavar="SERVICE SEVERITY",
    help="Say who would be told of such an incident, and when.",
)
@click.option(
    "--class",
    "klass",
    type=click.Choice(["outage", "finding", "monitor"]),
    help="Of which class the incident of --explain-route is. Default: outage.",
)
def check_config(
    files: tuple[str, ...],
    show: bool,
    allow_unset: bool,
    explained: tuple[str, str] | None,
    klass: str | None,
) -> None:
    """Read the configuration and tell every mistake at once: 0 if there is none, else 2.

    What is likely to be regretted is told as well, as a warning.
    """
    from monitor.config import find_doubts, load
    from monitor.core.model.rollback import RollbackKind

    if klass is not None and explained is None:
        raise click.UsageError("--class is about --explain-route")

    paths = find_config(_paths(files))
    with mistakes_end_it():
        compiled = load(paths, environ=os.environ, allow_unset=allow_unset)

    for doubt in find_doubts(compiled):
        click.echo(f"warning: {doubt}", err=True)
    if explained is not None:
        _explain(compiled, *explained, klass)
        return
    if show:
        click.echo(json.dumps(compiled.shown, ensure_ascii=False, indent=2))
        return

    services = compiled.directory.services.values()
    acting = Counter(policy.kind for one in services for policy in one.policies if policy.acts)
    remedies = acting[RollbackKind.REMEDY]
    endpoints, checks = len(compiled.endpoints), sum(len(one.checks) for one in compiled.endpoints)
    names = ", ".join(map(str, paths))
    click.echo(
        f"{names}: good: {count(endpoints, 'endpoint')} with {count(checks, 'check')}, "
        f"{count(len(compiled.notifiers), 'notifier')}, "
        f"{count(acting[RollbackKind.ROLLBACK], 'service')} with a rollback"
        + (f", {remedies} with a remedy" if remedies else "")
    )


def _explain(compiled: Compiled, service: str, severity: str, klass: str | None) -> None:
    """Print who would be told of an incident, and when; raises UsageError for unknown words."""
    from datetime import UTC, datetime

    from monitor.config.suggest import suggest
    from monitor.core.alerting import explain
    from monitor.core.incidents import MONITOR_SERVICE
    from monitor.core.model.endpoint import Severity
    from monitor.core.model.incident import IncidentClass

    own = service == MONITOR_SERVICE
    kind = IncidentClass(klass or (IncidentClass.MONITOR if own else IncidentClass.OUTAGE))
    known = {*compiled.directory.services, *(one.service for one in compiled.endpoints)}
    if not own and service not in known:
        meant = suggest(service, known) or f"; there are {', '.join(sorted(known)[:_MOST_NAMED])}"
        raise click.UsageError(f"unknown service {service}{meant}")
    if severity not in set(Severity):
        words = ", ".join(Severity)
        raise click.UsageError(
            f"unknown severity {severity}: expected one of {words}{suggest(severity, Severity)}"
        )
    if own is not (kind is IncidentClass.MONITOR):
        raise click.UsageError(f"--class monitor and the service {MONITOR_SERVICE} go together")

    rows = explain(service, Severity(severity), kind, compiled.directory, datetime.now(UTC))
    width = max(len(when) for when, _ in rows)
    what = "Trouble" if own else kind.value.capitalize()
    click.echo(f"{what} of {service}, severity {severity}:")
    for when, told in rows:
        click.echo(f"  {when:<{width}}  {told}")


@click.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from monitor.config import schema as build

    click.echo(json.dumps(build(), ensure_ascii=False, indent=2))


def _paths(files: tuple[str, ...]) -> tuple[Path, ...]:
    from pathlib import Path

    return tuple(Path(file) for file in files)
