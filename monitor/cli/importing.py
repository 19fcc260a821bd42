"""`import`: a starting configuration from that of a peer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.common import end

if TYPE_CHECKING:
    from monitor.tools.importing.draft import Draft


@click.group("import", short_help="Draft a configuration from that of blackbox_exporter or Gatus.")
def import_() -> None:
    """Write a starting configuration, from that of a peer, to standard output.

    What has no counterpart is told on standard error, and in comments at the top.
    """


@import_.command(
    epilog="For example: production-monitor import blackbox blackbox.yml "
    "--prometheus prometheus.yml > monitor.yml"
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--prometheus",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A configuration of Prometheus: the targets are those of its jobs that scrape /probe.",
)
def blackbox(file: Path, prometheus: Path | None) -> None:
    """Turn the modules of blackbox_exporter in FILE into endpoints."""
    from monitor.tools.importing.blackbox import import_blackbox, targets_of_prometheus
    from monitor.tools.importing.draft import Draft
    from monitor.tools.importing.foreign import Unusable, read_foreign

    try:
        found = Draft()
        targets = targets_of_prometheus(read_foreign(prometheus), found) if prometheus else []
        draft = import_blackbox(read_foreign(file), targets)
    except Unusable as error:
        end(str(error))
    draft.leftovers[:0] = found.leftovers
    _write(draft, f"Drafted from the modules of blackbox_exporter in {file.name}.")


@import_.command(epilog="For example: production-monitor import gatus config.yaml > monitor.yml")
@click.argument("file", type=click.Path(path_type=Path))
def gatus(file: Path) -> None:
    """Turn the endpoints, conditions, alerts and thresholds of Gatus in FILE into ours."""
    from monitor.tools.importing.foreign import Unusable, read_foreign
    from monitor.tools.importing.gatus import import_gatus

    try:
        draft = import_gatus(read_foreign(file))
    except Unusable as error:
        end(str(error))
    _write(draft, f"Drafted from the configuration of Gatus in {file.name}.")


def _write(draft: Draft, head: str) -> None:
    from monitor.cli.common import count
    from monitor.tools.importing.draft import write_draft
    from monitor.tools.importing.review import review

    review(draft)
    click.echo(write_draft(draft, head=head), nl=False)
    for leftover in draft.leftovers:
        click.echo(str(leftover), err=True)
    for name, where in draft.variables.items():
        click.echo(f"{where}: a secret, which was not copied: export {name}", err=True)
    left = f"; {count(len(draft.leftovers), 'thing')} left over" if draft.leftovers else ""
    click.echo(f"{count(len(draft.endpoints), 'endpoint')} drafted{left}", err=True)
