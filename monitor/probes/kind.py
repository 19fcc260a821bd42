"""What every kind of probe tells of itself and of its options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.fields import Options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.options import Secret


class ProbeOptions(Options):
    """The options of a probe, and what is known of it beforehand.

    A kind overrides what is otherwise with it. Its `secrets` are each Secret in its options, unless
    it makes others of them.
    """

    @property
    def target(self) -> str:
        """What is asked, as it may be shown; where it is empty, the endpoint by its name."""
        return ""

    @property
    def witnessed(self) -> bool:
        """Whether the witnesses can say anything about the way to it."""
        return True

    @property
    def shows_certificate(self) -> bool:
        """Whether an answer can come over TLS: with a certificate, if the kind tells of one."""
        return True

    @property
    def may_redirect_to_https(self) -> bool:
        """Whether a way from plain HTTP to HTTPS can be seen."""
        return False

    @property
    def harmless(self) -> bool:
        """Whether asking changes nothing there, as far as can be known, and costs little."""
        return True

    @property
    def healthy(self) -> tuple[Mapping[str, object], ...] | None:
        """What is healthy where nobody wrote anything else; None is what the kind says."""
        return None

    @property
    def beats(self) -> str:
        """By what pings are expected; empty where something is asked."""
        return ""

    @property
    def ping_key(self) -> Secret | None:
        """The secret part of the address that is pinged, where nothing is asked."""
        return None
