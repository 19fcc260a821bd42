"""How an explained observation looks on a terminal: phases as bars, then each expectation."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final

from rich.markup import escape

from monitor.cli.finished import tally
from monitor.cli.page import MARKS, Page
from monitor.core.expectations.shown import plain, shorten
from monitor.core.model.endpoint import InARow
from monitor.core.model.verdict import Outcome
from monitor.core.wording import duration_text

if TYPE_CHECKING:
    from monitor.cli.look import Look
    from monitor.core.headers import PolicyResult
    from monitor.core.model.endpoint import Check
    from monitor.core.model.observation import Certificate, Observation
    from monitor.tools.explain import Explained, ExplainedCheck

_GOOD: Final = "  [green]✔[/] "
_BAD: Final = "  [red]✘[/] "
_NEITHER: Final = "  [dim]-[/] "
_LABEL: Final = 13
_LONGEST_BAR: Final = 40
_BESIDE_BAR: Final = 26
_LONGEST_HEADER: Final = 600
_MOST_VALUES: Final = 10
_DECADES: Final = timedelta(days=3650)


def write_explained(explained: Explained, look: Look) -> str:
    """Write everything that was seen, in the order in which it happened; ends in a line break."""
    page = Page(look)
    seen = explained.observation
    name, target = escape(explained.endpoint.name), escape(explained.endpoint.target)
    page.line(f"[bold]{name}[/]  {target}  in {took_text(seen.duration)}", lead=_mark(explained))
    page.line()
    _write_way(page, seen)
    _write_phases(page, seen)
    _write_headers(page, seen)
    _write_values(page, seen)
    for one in explained.checks:
        _write_check(page, one)
    if len(explained.checks) > 1:
        page.line()
        page.line(tally(explained.reports), lead=_mark(explained))

    return page.text()


def took_text(duration: timedelta) -> str:
    """Write a measured duration, as exact as it says something: `0.4ms`, `12ms`, `1.25s`."""
    milliseconds = duration / timedelta(milliseconds=1)
    if milliseconds < 10:
        return f"{milliseconds:.1f}ms"
    if milliseconds < 1000:
        return f"{milliseconds:.0f}ms"

    return f"{milliseconds / 1000:.2f}s"


def _mark(explained: Explained) -> str:
    return f"{MARKS[explained.verdict]}  "


def _write_way(page: Page, seen: Observation) -> None:
    hops = [f"{hop.status}  {escape(hop.url)} → {escape(hop.location)}" for hop in seen.redirects]
    for hop, again in groupby(hops):
        times = len(list(again))
        page.line(
            hop + (f" [bold]({times} times)[/]" if times > 1 else ""), lead=_label("redirect")
        )
    if seen.fault is not None:
        page.line(
            f"[red]{escape(seen.fault.message)}[/] [dim]({seen.fault.code})[/]",
            lead=_label("problem"),
        )
    facts = []
    if seen.status is not None:
        spoken = f" over HTTP/{seen.http_version}" if seen.http_version else ""
        facts.append(f"[bold]{seen.status}[/]{spoken}")
    if seen.address:
        facts.append(f"from {seen.address}" if seen.status else seen.address)
    if seen.tls_version:
        facts.append(f"with {seen.tls_version}")
    if seen.status is not None:
        size = len(seen.body)
        cut = ", cut there" if seen.body_truncated else ""
        facts.append(f"{size:,} {'byte' if size == 1 else 'bytes'} of body{cut}")
    if facts:
        page.line(", ".join(facts), lead=_label("answer" if seen.status else "peer"))
    if seen.certificate is not None:
        _write_certificate(page, seen.certificate, seen)


def _write_certificate(page: Page, certificate: Certificate, seen: Observation) -> None:
    names = ", ".join(certificate.subject_alternative_names[:5])
    more = len(certificate.subject_alternative_names) - 5
    for_names = f" for {names}" + (f" and {more} more" if more > 0 else "") if names else ""
    trust = "[green]verified[/]" if certificate.verified else "[yellow]not verified[/]"
    page.line(f"{escape(certificate.subject + for_names)}, {trust}", lead=_label("certificate"))
    page.line(f"issued by {escape(certificate.issuer)}", lead=_label(""))

    left = certificate.earliest_not_after - seen.at
    when = f"{certificate.earliest_not_after:%Y-%m-%d %H:%M} UTC"
    if left <= timedelta():
        page.line(f"[red]expired {when}, {duration_text(-left)} ago[/]", lead=_label(""))
    else:
        lasts = "" if left > _DECADES else f", in {duration_text(left)}"
        page.line(f"expires {when}{lasts}", lead=_label(""))


def _write_phases(page: Page, seen: Observation) -> None:
    if not seen.phases:
        return

    page.line()
    longest = max(min(_LONGEST_BAR, page.width - _BESIDE_BAR), 5)
    whole = max(seen.duration, sum(seen.phases.values(), timedelta()), timedelta(microseconds=1))
    passed = timedelta()
    for phase, took in seen.phases.items():
        start = min(round(passed / whole * longest), longest - 1)
        length = max(1, min(round(took / whole * longest), longest - start))
        bar = " " * start + f"[cyan]{'█' * length}[/]"
        page.line(f"{took_text(took):>7}  {bar}", lead=_label(phase.value))
        passed += took


def _write_headers(page: Page, seen: Observation) -> None:
    if not seen.headers:
        return

    page.line()
    for name, value in seen.headers:
        shown = "".join(char if char.isprintable() else "�" for char in value)
        if len(shown) > _LONGEST_HEADER:
            shown = f"{shown[:_LONGEST_HEADER]}… ({len(value):,} characters)"
        page.line(f"[dim]{escape(name)}:[/] {escape(shown)}", lead="  ", hang=2)


def _write_values(page: Page, seen: Observation) -> None:
    """Write what a kind of probe brought besides: one value on a line, of many the first."""
    if seen.values:
        page.line()
    for name, value in seen.values.items():
        if not isinstance(value, list):
            page.line(escape(_shown_value(value)), lead=_label(name), hang=2)
            continue
        label = name
        for one in value[:_MOST_VALUES]:
            page.line(escape(_shown_value(one)), lead=_label(label), hang=2)
            label = ""
        more = len(value) - _MOST_VALUES
        if more > 0 or not value:
            page.line(f"[dim]{f'and {more} more' if value else 'none'}[/]", lead=_label(label))


def _shown_value(value: object) -> str:
    """Write a value on one line; a row as its columns."""
    if isinstance(value, dict):
        text = "  ".join(f"{key}={_shown_value(one)}" for key, one in value.items())
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    return shorten(plain(text), limit=_LONGEST_HEADER)


def _write_check(page: Page, one: ExplainedCheck) -> None:
    report = one.report
    page.line()
    page.line(
        f"[bold]{escape(report.check.id)}[/]  [dim]{_threshold_text(report.check)}[/]",
        lead=f"{MARKS[report.verdict]}  ",
    )
    for finding in one.findings:
        if finding.reason is None:
            page.line(
                f"{escape(finding.subject)} is {escape(finding.found)} "
                f"[dim](expected {escape(finding.expected)})[/]",
                lead=_GOOD,
            )
        else:
            at = f" [dim]({escape(finding.reason.at)})[/]" if finding.reason.at else ""
            page.line(f"{escape(finding.reason.message)}{at}", lead=_BAD)
    if one.unread:
        what = one.findings[0].subject if one.findings else "status"
        page.line(f"[dim]{_unread_text(one.unread, what)}[/]", lead=_NEITHER)
    for result in one.policies:
        _write_policy(page, result)

    told = {finding.reason.message for finding in one.findings if finding.reason}
    told |= {result.message for result in one.policies}
    for reason in report.reasons:
        if reason.message not in told:
            lead = _NEITHER if report.verdict is Outcome.UNKNOWN else _BAD
            page.line(escape(reason.message), lead=lead)
    if report.note:
        page.line(f"[dim]{escape(report.note)}[/]", lead=_NEITHER)


def _write_policy(page: Page, result: PolicyResult) -> None:
    lead = _NEITHER if not result.evaluated else _GOOD if result.passed else _BAD
    page.line(f"{result.policy}: {escape(result.message)} [dim]({result.result})[/]", lead=lead)


def _threshold_text(check: Check) -> str:
    """Say when people are told: the verdict of one request alone tells nobody."""
    threshold = check.failure_threshold
    if isinstance(threshold, InARow):
        when = f"{threshold.count} in a row" if threshold.count > 1 else "the first failure"
    else:
        when = f"{threshold.k} of {threshold.n}"

    return f"{check.severity}, alerts at {when}"


def _unread_text(count: int, what: str) -> str:
    if count == 1:
        return f"1 more expectation means nothing with this {what}"

    return f"{count} more expectations mean nothing with this {what}"


def _label(word: str) -> str:
    return f"  [dim]{word:<{max(_LABEL, len(word) + 1)}}[/]"
