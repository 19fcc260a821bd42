"""How the demo is told: who speaks, when, and each thing once."""

from __future__ import annotations

from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from monitor.core.wording import duration_text

if TYPE_CHECKING:
    from rich.console import Console

    from monitor.tools.demo.receiver import Message

_COLORS: Final = {"shop": "magenta", "deploy": "bold magenta", "monitor": "blue", "Slack": "cyan"}
_BESIDE_DETAILS: Final = 20
"""What stands before the details of a message: time, speaker and bar."""
_ONLY_RECORDED: Final = ("rollback_step_", "rollback_verifying", "rollback_blocked")
"""How the events begin that Slack is not told of; the others are told by its messages."""


class Telling:
    """Writes the story as it happens, with the seconds since it began."""

    def __init__(self, console: Console) -> None:
        self.messages: list[Message] = []
        self._console = console
        self._began = monotonic()
        self._told: set[tuple[str, int]] = set()

    def say(self, who: str, text: str, style: str = "") -> None:
        """Let somebody say something: the shop, the one who deploys, the monitor, or Slack."""
        seconds = f"[dim]{monotonic() - self._began:5.1f} s[/]"
        self._row(seconds, f"[{_COLORS.get(who, 'bold')}]{who}[/]", text, style)

    def hear(self, message: Message) -> None:
        """Tell a message as Slack shows it: the first one whole, replies by their line."""
        self.messages.append(message)
        if message.update:
            return
        if message.thread:
            self.say("Slack", f"↳ {message.text}", message.color)
            return

        self.say("Slack", f"#on-call {message.text}", "bold")
        bar = f"[{message.color or 'red'}]┃[/] "
        room = max(self._console.width - _BESIDE_DETAILS, 20)
        for detail in message.details:
            for line in Text(detail).wrap(self._console, room):
                self._row("", "", line.plain.rstrip(), bar=bar)

    def follow(self, status: dict[str, Any]) -> None:
        """Tell what is new in the status and is told by nobody else.

        Failures below their threshold, and what only the timeline says of the rollback.
        """
        for check in status.get("checks", ()):
            self._tell_failure(check)
        for incident in status.get("incidents", ()):
            for entry in incident["timeline"]:
                if entry["event"].startswith(_ONLY_RECORDED) and self._first(
                    incident["id"], entry["sequence"]
                ):
                    self.say("monitor", entry["text"])

    def conclude(self, status: dict[str, Any]) -> None:
        """Show the timeline of each incident once more, as it is kept."""
        self._console.print("\nThe timeline, as the post-mortem will have it:", style="bold")
        for incident in status["incidents"]:
            for entry in incident["timeline"]:
                when, who = entry["at"][11:19], entry["actor"]
                self._row(f"[dim]{when}[/]", f"[{_COLORS.get(who, 'bold')}]{who}[/]", entry["text"])
            lasted = datetime.fromisoformat(incident["resolved_at"]) - datetime.fromisoformat(
                incident["since"]
            )
            self.add(
                f"\nFrom the first failure to the proven recovery: {duration_text(lasted)}, "
                "and nobody had to do anything.",
                "bold green",
            )

    def add(self, text: str, style: str = "") -> None:
        """Say something that belongs to no moment."""
        self._console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def _tell_failure(self, check: dict[str, Any]) -> None:
        count = check["consecutive_failures"]
        if check["verdict"] != "fail" or check["state"] == "fail" or not count:
            return
        if self._first(check["check"], count):
            reason = check["reasons"][0]["message"] if check["reasons"] else "it fails"
            times = "once" if count == 1 else f"{count} times in a row"
            self.say("monitor", f"{check['check']} fails {times}: {reason}", "yellow")

    def _first(self, what: str, number: int) -> bool:
        mark = (what, number)
        first = mark not in self._told
        self._told.add(mark)

        return first

    def _row(self, when: str, who: str, text: str, style: str = "", *, bar: str = "") -> None:
        """Write one line of the story; what does not fit hangs below where it began."""
        row = Table.grid(padding=(0, 1, 0, 0))
        row.add_column(width=8, no_wrap=True)
        row.add_column(width=7, no_wrap=True)
        row.add_column(overflow="fold", style=style)
        row.add_row(when, who, f"{bar}{escape(text)}")
        self._console.print(row, highlight=False)
