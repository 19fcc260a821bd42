"""Witnesses: what is up unless the monitor itself is cut off."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """One thing to ask when a target gives no answer: exactly one of the two is set.

    `tcp` is `host:port` (an IPv6 address in brackets); `url` is an http or https URL.
    """

    tcp: str | None = None
    url: str | None = None
