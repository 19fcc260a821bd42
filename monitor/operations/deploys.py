"""Deploys that people and pipelines announce."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from monitor.core.model.deploy import DeployKind, DeployState
from monitor.core.report import deploy_json
from monitor.operations.desk import (
    OperationError,
    check_keys,
    check_service,
    read_choice,
    read_text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.operations.desk import Desk

_KEYS: Final = ("service", "version", "id", "commit", "kind", "state")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployMarker:
    """Somebody says that a version of a service is being, or has been, deployed."""

    service: str
    version: str
    id: str | None = None
    commit: str | None = None
    kind: DeployKind = DeployKind.PLANNED
    state: DeployState = DeployState.FINISHED


def read_marker(raw: Mapping[str, Any]) -> DeployMarker:
    """Read a marker from JSON; `state` is started, finished or failed.

    Raises OperationError for an unknown key, a missing one or a value of the wrong kind.
    """
    check_keys(raw, _KEYS)
    if not raw.get("service") or not raw.get("version"):
        raise OperationError("expected a service and a version")

    return DeployMarker(
        service=read_text(raw, "service") or "",
        version=read_text(raw, "version") or "",
        id=read_text(raw, "id"),
        commit=read_text(raw, "commit"),
        kind=read_choice(raw, "kind", DeployKind.PLANNED, tuple(DeployKind)),
        state=read_choice(
            raw,
            "state",
            DeployState.FINISHED,
            (DeployState.STARTED, DeployState.FINISHED, DeployState.FAILED),
        ),
    )


async def announce_deploy(marker: DeployMarker, desk: Desk) -> dict[str, Any]:
    """Take a deploy marker; give the deploy as JSON once it is durable.

    Raises OperationError for a service that the configuration does not have, StoreError if it
    could not be written.
    """
    engine = desk.engine
    check_service(marker.service, desk)
    await desk.settle(
        engine.announce(
            marker.service,
            version=marker.version,
            kind=marker.kind,
            state=marker.state,
            id=marker.id,
            commit=marker.commit,
            now=desk.clock(),
        )
    )
    known = [
        deploy
        for deploy in engine.situation.deploys.values()
        if deploy.service == marker.service and deploy.version == marker.version
    ]
    if not known:
        raise OperationError(
            f"{marker.service} {marker.version}: no such deploy is known, so it cannot have failed"
        )

    return deploy_json(max(known, key=lambda deploy: deploy.at))
