"""How an explained observation looks on a terminal: phases as bars, then each expectation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.markup import escape

from monitor.core.model.verdict import Outcome
from monitor.core.wording import duration_text
from monitor.options import format_duration

if TYPE_CHECKING:
    from monitor.core.model.observation import Certificate, Observation
    from monitor.tools.explain import Explained, ExplainedCheck

_MARKS: Final = {
    Outcome.PASS: "[green bold]✔ pass[/]",
    Outcome.FAIL: "[red bold]✘ FAIL[/]",
    Outcome.UNKNOWN: "[yellow bold]? unknown[/]",
    Outcome.WAITING: "[dim]… waiting[/]",
}
_GOOD: Final = "[green]✔[/]"
_BAD: Final = "[red]✘[/]"
_BAR: Final = 40


def write_explained(explained: Explained, *, color: bool) -> str:
    """Write everything that was seen, in the order in which it happened; ends in a line break."""
    console = Console(
        force_terminal=color,
        no_color=not color,
        width=None if color else 200,
        highlight=False,
        soft_wrap=True,
    )
    seen = explained.observation
    with console.capture() as captured:
        took = format_duration(seen.duration)
        console.print(
            f"{_MARKS[explained.verdict]}  [bold]{escape(explained.endpoint.name)}[/]  "
            f"{escape(explained.endpoint.target)}  in {took}\n"
        )
        _write_way(console, seen)
        _write_phases(console, seen)
        _write_headers(console, seen)
        for one in explained.checks:
            _write_check(console, one)

    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _write_way(console: Console, seen: Observation) -> None:
    for hop in seen.redirects:
        console.print(f"  {hop.status}  {escape(hop.url)} → {escape(hop.location)}")
    if seen.fault is not None:
        console.print(f"  [red]{escape(seen.fault.message)}[/] [dim]({seen.fault.code})[/]")
    facts = []
    if seen.status is not None:
        facts.append(f"[bold]{seen.status}[/] over HTTP/{seen.http_version}")
    if seen.address:
        facts.append(f"from {seen.address} (IPv{seen.ip_family})")
    if seen.tls_version:
        facts.append(f"with {seen.tls_version}")
    if seen.status is not None:
        cut = ", cut there" if seen.body_truncated else ""
        facts.append(f"{len(seen.body)} bytes of body{cut}")
    if facts:
        console.print(f"  {', '.join(facts)}")
    if seen.certificate is not None:
        console.print(f"  {_say_certificate(seen.certificate, seen)}")


def _say_certificate(certificate: Certificate, seen: Observation) -> str:
    left = certificate.earliest_not_after - seen.at
    when = f"{certificate.earliest_not_after:%Y-%m-%d %H:%M} UTC"
    lasts = f"expires {when}, in {duration_text(left)}" if left.total_seconds() > 0 else ""
    lasts = lasts or f"[red]expired {when}[/]"
    trust = "verified" if certificate.verified else "[yellow]not verified[/]"

    return (
        f"certificate {escape(certificate.subject)}, issued by {escape(certificate.issuer)}, "
        f"{lasts}, {trust}"
    )


def _write_phases(console: Console, seen: Observation) -> None:
    if not seen.phases:
        return

    console.print()
    longest = max(seen.duration.total_seconds(), 1e-9)
    offset = 0.0
    for phase, took in seen.phases.items():
        share = took.total_seconds() / longest
        start = min(round(offset * _BAR), _BAR - 1)
        bar = " " * start + "█" * max(1, min(round(share * _BAR), _BAR - start))
        console.print(f"  {phase:<11}{format_duration(took):>8}  [cyan]{bar}[/]")
        offset += share


def _write_headers(console: Console, seen: Observation) -> None:
    if not seen.headers:
        return

    console.print()
    for name, value in seen.headers:
        shown = "".join(char if char.isprintable() else "�" for char in value)
        console.print(f"  [dim]{escape(name)}:[/] {escape(shown)}")


def _write_check(console: Console, one: ExplainedCheck) -> None:
    console.print(f"\n{_MARKS[one.verdict.outcome]}  {escape(one.check.id)}")
    for finding in one.findings:
        if finding.reason is not None:
            console.print(f"  {_BAD} {escape(finding.reason.message)}")
        else:
            console.print(
                f"  {_GOOD} {escape(finding.subject)} is {escape(finding.found)} "
                f"[dim](expected {escape(finding.expected)})[/]"
            )
    for result in one.policies:
        mark = _GOOD if result.passed else _BAD
        console.print(
            f"  {mark} {result.policy}: {escape(result.message)} [dim]({result.result})[/]"
        )
    told = {finding.reason.message for finding in one.findings if finding.reason}
    told |= {result.message for result in one.policies}
    for reason in one.verdict.reasons:
        if reason.message not in told:
            console.print(f"  {_BAD} {escape(reason.message)}")
    if not one.findings and not one.policies and one.verdict.outcome is Outcome.PASS:
        console.print(f"  {_GOOD} everything that was expected is there")
    if one.verdict.note:
        console.print(f"  [dim]{escape(one.verdict.note)}[/]")
