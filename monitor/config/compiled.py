"""What a valid configuration becomes: core records, and the options that plug-ins are made from."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from pathlib import Path

    from monitor.core.expectations import Expectation
    from monitor.core.model.endpoint import Endpoint
    from monitor.core.model.service import Directory
    from monitor.core.model.witness import Witness
    from monitor.options import Secret
    from monitor.probes.kind import ProbeOptions
    from monitor.runner.evidence import EvidenceCommand


class Scope(StrEnum):
    """What a token allows; each scope includes those before it."""

    READ = "read"
    DEPLOY = "deploy"
    OPERATE = "operate"

    def allows(self, wanted: Scope) -> bool:
        """Whether a holder of this scope may do what `wanted` asks for."""
        scopes = list(Scope)

        return scopes.index(self) >= scopes.index(wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Who may use the HTTP interface from elsewhere, and for what."""

    name: str
    scope: Scope
    secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Where the HTTP interface listens, and who may use it.

    `host` has no brackets. `open` names what is readable without a token on a non-loopback
    address: `metrics`, `probe`, `health`, `badge`, `public`.
    """

    host: str
    port: int
    tokens: tuple[Token, ...] = ()
    open: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One configured plug-in: the name of its kind, and the options (a model of that kind).

    `expectations` are those that a kind of probe judges itself, by where they stand in its options.
    """

    kind: str
    options: Any  # each kind has its own model, and only that kind reads it
    expectations: Mapping[tuple[str | int, ...], tuple[Expectation, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A whole valid configuration.

    `probes` is by endpoint, `notifiers` by their own name, `hooks` by service: one for each step
    of its rollback, in order. `every` is the default interval after `MONITOR_INTERVAL`.
    `evidence` are the commands that are run when an incident opens, by service and name.
    `ping_keys` are the secret keys of heartbeats, by their endpoints. `written` is the merged
    configuration with each secret as `***`: packed, for it is seldom looked at.
    """

    files: tuple[Path, ...]
    endpoints: tuple[Endpoint, ...]
    directory: Directory
    probes: Mapping[str, Plugin]
    notifiers: Mapping[str, Plugin]
    hooks: Mapping[str, tuple[Plugin, ...]]
    witnesses: tuple[Witness, ...]
    store: Path
    retention: timedelta
    web: WebSettings
    every: timedelta
    ping_keys: Mapping[str, Secret] = field(default_factory=lambda: MappingProxyType({}))
    evidence: Mapping[str, Mapping[str, EvidenceCommand]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    secrets: tuple[Secret, ...] = field(default=(), repr=False)
    written: bytes = field(default=b"", repr=False)

    @property
    def shown(self) -> dict[str, object]:
        """The merged configuration with each secret as `***`."""
        return unpack(self.written)


def find_ping_keys(probes: Mapping[str, Plugin]) -> dict[str, Secret]:
    """Give the key of each probe that has one."""
    options: dict[str, ProbeOptions] = {name: plugin.options for name, plugin in probes.items()}

    return {name: one.ping_key for name, one in options.items() if one.ping_key is not None}


def pack(shown: Mapping[str, object]) -> bytes:
    """Make little of a large configuration: of 10,000 endpoints 100 KB, where dicts take 50 MB."""
    return zlib.compress(json.dumps(shown).encode(), level=1)


def unpack(packed: bytes) -> dict[str, object]:
    """Give what was packed; nothing is an empty configuration."""
    shown: dict[str, object] = json.loads(zlib.decompress(packed)) if packed else {}

    return shown
