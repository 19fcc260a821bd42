"""Speaks with a port or Unix socket, on a connection of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.model.observation import Phase
from monitor.probes._net.asking import NetworkProbe
from monitor.probes._net.dial import dial, talking
from monitor.probes._tcp.options import TcpOptions
from monitor.probes._tcp.talk import Mismatch, Talk

if TYPE_CHECKING:
    from monitor.probes._net.look import Look


class TcpProbe(NetworkProbe[TcpOptions]):
    """Connects, and goes through the dialogue; what was heard is the `body`."""

    durations = "probe_tcp_duration_seconds"

    async def _ask(self, look: Look) -> None:
        by_pattern = by_bytes = False
        labels: dict[str, str] = {}
        try:
            await self._connect_and_talk(look, labels)
        except Mismatch as error:
            by_pattern, by_bytes = not error.exactly, error.exactly
            raise
        finally:
            look.measure("probe_failed_due_to_regex", by_pattern)
            look.measure("probe_failed_due_to_bytes", by_bytes)
            if labels:
                look.measure("probe_expect_info", 1.0, **labels)

    async def _connect_and_talk(self, look: Look, labels: dict[str, str]) -> None:
        connection = await dial(look, self._context.resolver, self._way)
        talk = Talk(look, self._way, connection)
        try:
            if self._options.upgrades or self._options.dialogue:
                look.watch.enter(Phase.PROCESSING)
                with talking(look):
                    await self._converse(talk, labels)
        finally:
            look.body = bytes(talk.heard)
            connection.close()

    async def _converse(self, talk: Talk, labels: dict[str, str]) -> None:
        protocol = self._options.starttls
        if protocol is not None:
            from monitor.probes._tcp.starttls import BEGINNINGS, FAREWELLS

            await BEGINNINGS[protocol](talk, self._way.checked_name)
            await talk.begin_tls()

        for step in self._options.dialogue:
            if step.expect is not None:
                await talk.hear(step.expect)
            if step.expect_bytes is not None:
                await talk.hear_bytes(step.expect_bytes.encode(errors="replace"))
            for name, template in step.labels.items():
                labels[name] = talk.captured.label(template)
            if step.send is not None:
                talk.say(talk.captured.fill(step.send.reveal()))
            if step.starttls:
                await talk.begin_tls()

        if protocol is not None and not self._options.dialogue:
            talk.say(FAREWELLS.get(protocol, b""))
