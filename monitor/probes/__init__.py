"""The table of the kinds of probes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.probes import http

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.fields import Kind

KINDS: Final[Mapping[str, Kind]] = {"url": http.KIND}
"""By the key that names the kind in an endpoint; a kind imports its client when it is made."""
