"""`probe`: one request, explained from the first packet to the last expectation."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from monitor.cli.common import (
    CODES,
    config_option,
    find_config,
    find_probe_runner,
    mistakes_end_it,
    start_logs,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from monitor.config import Compiled
    from monitor.core.model.endpoint import Endpoint
    from monitor.core.model.heartbeat import Heard
    from monitor.core.model.observation import Observation


@click.command(
    short_help="Request an endpoint or any URL once, and explain it.",
    epilog="For example: production-monitor probe https://shop.example/",
)
@click.argument("target", metavar="ENDPOINT|URL")
@config_option
@click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How it is written; json holds all that was seen.",
)
def probe(target: str, configs: tuple[Path, ...], output: str) -> None:
    """Request one endpoint of the configuration, or any URL, and explain what came back.

    Nothing is counted, stored or told. Exit codes as of a check.
    """
    start_logs(default_level="warning")
    with mistakes_end_it():
        compiled, endpoint = _find(target, configs)

    import uvloop

    from monitor.options import Redactor
    from monitor.tools.explain import explain

    mask = Redactor(compiled.secrets).mask
    heard = _hear(configs, endpoint)
    observation = uvloop.run(_observe(compiled, endpoint, mask, heard))
    explained = explain(
        endpoint,
        observation,
        environment=compiled.directory.environment,
        mask=mask,
    )
    if output == "json":
        from monitor.tools.explain import explained_json

        click.echo(mask(json.dumps(explained_json(explained), ensure_ascii=False, indent=2)))
    else:
        from monitor.cli.explained import write_explained
        from monitor.cli.look import find_look

        click.echo(mask(write_explained(explained, find_look())), nl=False)
    sys.exit(CODES[explained.verdict])


def _find(target: str, configs: tuple[Path, ...]) -> tuple[Compiled, Endpoint]:
    """Give the endpoint that is meant; a URL needs no configuration."""
    if "://" in target:
        compiled = _compile(target)
        return compiled, compiled.endpoints[0]

    from monitor.config import NoSuchEndpoint, load_endpoint

    try:
        compiled = load_endpoint(target, find_config(configs), environ=os.environ)
    except NoSuchEndpoint as error:
        raise click.UsageError(str(error)) from error

    return compiled, compiled.endpoints[0]


def _compile(url: str) -> Compiled:
    from monitor.config import ConfigError, compile_url

    try:
        return compile_url(url, environ=os.environ)
    except ConfigError as error:
        raise click.UsageError("; ".join(one.message for one in error.problems)) from error


def _hear(configs: tuple[Path, ...], endpoint: Endpoint) -> Heard:
    """Give what came of a heartbeat: it cannot be asked, so whoever listened is."""
    from monitor.core.model.heartbeat import Heard

    if not endpoint.beats:
        return Heard()

    from monitor.cli.acts import ask_heard

    return ask_heard(configs, endpoint.name)


async def _observe(
    compiled: Compiled, endpoint: Endpoint, mask: Callable[[str], str], heard: Heard
) -> Observation:
    """Ask once, and the witnesses if there was no answer."""
    from datetime import UTC, datetime

    from monitor.core.model.observation import WITHOUT_ANSWER
    from monitor.names import Resolver
    from monitor.plugins import Surroundings, make_probe
    from monitor.runner.elsewhere import CommandsElsewhere
    from monitor.witness import Witnesses

    runner = find_probe_runner()
    around = Surroundings(
        clock=lambda: datetime.now(UTC),
        mask=mask,
        resolver=Resolver(),
        commands=CommandsElsewhere(runner) if runner else None,
        heard=lambda _endpoint: heard,
    )
    made = make_probe(compiled, endpoint, around)
    witnesses = Witnesses(compiled.witnesses)
    try:
        observation = await made.observe()
        fault = observation.fault
        if fault is not None and fault.code in WITHOUT_ANSWER:
            fault = await witnesses.attribute(fault, witnessed=endpoint.witnessed)
    finally:
        await made.close()
        await witnesses.close()

    return replace(observation, fault=fault)
