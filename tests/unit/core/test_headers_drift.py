"""Drift: what vanished, weakened or differs from accepted headers, and how they are accepted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.engine import Engine
from monitor.core.headers import Policy, PolicyRule
from monitor.core.headers.drift import PINNED, Kind, compare, pinned_lines
from monitor.core.model.endpoint import (
    Check,
    DriftRule,
    Endpoint,
    HeadersRule,
    InARow,
    Severity,
    Signal,
)
from monitor.core.model.incident import IncidentClass
from monitor.core.situation import Situation
from tests.support.watching import answer as answer_at
from tests.support.watching import at, make_directory, make_endpoint, own_fault

if TYPE_CHECKING:
    from monitor.core.model.changes import Changes
    from monitor.core.model.observation import Observation

CSP, STS, XFO = "content-security-policy", "strict-transport-security", "x-frame-options"
REFERRER, CORP, COEP = (
    "referrer-policy",
    "cross-origin-resource-policy",
    "cross-origin-embedder-policy",
)
FEATURES, SNIFFING = "permissions-policy", "x-content-type-options"

DRIFTS = [
    ("gone", STS, "max-age=63072000", None, Kind.VANISHED),
    ("appeared", CSP, None, "default-src 'self'", Kind.DIFFERS),
    ("a shorter age", STS, "max-age=63072000", "max-age=300", Kind.WEAKENED),
    ("a longer age", STS, "max-age=300", "max-age=63072000", Kind.DIFFERS),
    ("subdomains lost", STS, "max-age=300; includeSubDomains", "max-age=300", Kind.WEAKENED),
    ("an age that nobody reads", STS, "max-age=300", "max-age=x", Kind.WEAKENED),
    ("a source more", CSP, "script-src 'self'", "script-src 'self' https:", Kind.WEAKENED),
    ("a source less", CSP, "script-src 'self' https:", "script-src 'self'", Kind.DIFFERS),
    ("a directive less", CSP, "img-src 'self'; base-uri 'none'", "img-src 'self'", Kind.WEAKENED),
    ("a directive more", CSP, "img-src 'self'", "img-src 'self'; base-uri 'none'", Kind.DIFFERS),
    ("a kind let free", CSP, "default-src 'none'", "default-src 'none'; img-src *", Kind.WEAKENED),
    ("none at all", CSP, "default-src 'self'", "default-src 'none'", Kind.DIFFERS),
    ("two made one", CSP, "default-src a, img-src b", "default-src a; img-src b", Kind.WEAKENED),
    ("a policy less", CSP, "img-src a, script-src b", "img-src a", Kind.WEAKENED),
    ("not valid any more", CSP, "img-src a; font-src b", "img-src a; img-src b", Kind.WEAKENED),
    ("frames of its own", XFO, "DENY", "SAMEORIGIN", Kind.WEAKENED),
    ("frames of nobody", XFO, "SAMEORIGIN", "DENY", Kind.DIFFERS),
    ("sniffing", SNIFFING, "nosniff", "sniff", Kind.WEAKENED),
    ("more in the referrer", REFERRER, "no-referrer", "origin", Kind.WEAKENED),
    ("less in the referrer", REFERRER, "origin", "foo, no-referrer", Kind.DIFFERS),
    ("embedded by more", CORP, "same-origin", "same-site", Kind.WEAKENED),
    ("embedded by fewer", CORP, "cross-origin", "same-site", Kind.DIFFERS),
    ("not understood", COEP, "require-corp", "nonsense", Kind.WEAKENED),
    ("a feature given", FEATURES, "camera=()", "camera=(self)", Kind.WEAKENED),
    ("a feature not denied", FEATURES, "camera=(), usb=()", "usb=()", Kind.WEAKENED),
    ("a feature denied", FEATURES, "usb=()", "camera=(), usb=()", Kind.DIFFERS),
    ("what cannot be ordered", "x-permitted-cross-domain-policies", "none", "all", Kind.DIFFERS),
]


@pytest.mark.parametrize(
    ("name", "was", "now", "kind"), [one[1:] for one in DRIFTS], ids=[one[0] for one in DRIFTS]
)
def test_a_drift_names_what_was_and_what_is(
    name: str, was: str | None, now: str | None, kind: Kind
) -> None:
    before = ((name, was),) if was else ()
    after = ((name, now),) if now else ()

    (drift,) = compare(before, after)

    assert (drift.name, drift.kind) == (name, kind)
    assert name in drift.message
    assert drift.was in drift.message


def test_of_a_long_policy_only_what_differs_is_told() -> None:
    long = "; ".join(f"x{number}-src https://a{number}.example" for number in range(40))

    (drift,) = compare(((CSP, f"{long}; img-src 'self'"),), ((CSP, f"img-src *; {long}"),))

    assert drift.message == (
        "header content-security-policy weakened: accepted was img-src 'self', now img-src *"
    )


@pytest.mark.parametrize(
    ("name", "was", "now"),
    [
        (CSP, "img-src 'self' a; base-uri 'none'", " BASE-URI  'none';img-src a 'self';"),
        (STS, "max-age=300; includeSubDomains", "includesubdomains;max-age=300"),
        (FEATURES, "usb=(), camera=()", "camera=(),usb=()"),
        (XFO, "DENY", " deny "),
    ],
)
def test_what_means_the_same_is_no_drift(name: str, was: str, now: str) -> None:
    assert compare(((name, was),), ((name, now),)) == ()


def test_nonces_and_other_headers_are_no_part_of_what_is_pinned() -> None:
    def lines(nonce: str, cookie: str) -> Observation:
        return replace(
            answer_at(),
            headers=(
                ("Content-Security-Policy", f"script-src 'nonce-{nonce}'"),
                ("Set-Cookie", cookie),
                ("Date", cookie),
            ),
        )

    assert pinned_lines(lines("abc+/=", "a=1")) == pinned_lines(lines("Xyz", "b=2"))


NAMES = st.sampled_from(PINNED)
VALUES = st.text(max_size=30) | st.lists(
    st.sampled_from(("max-age=1", ";", ",", " ", "img-src", "*", "'none'", "camera=()", "=", '"'))
).map("".join)
LINES = st.lists(st.tuples(NAMES, VALUES), max_size=5).map(tuple)


@given(before=LINES, after=LINES)
def test_nothing_raises_and_nothing_drifts_from_itself(
    before: tuple[tuple[str, str], ...], after: tuple[tuple[str, str], ...]
) -> None:
    assert compare(before, before) == ()
    for drift in compare(before, after):
        assert drift.message.isprintable()
        assert drift.name in PINNED


RULE = HeadersRule(policies=(PolicyRule(policy=Policy.NOSNIFF),), expectations=())
PINNING = Check(
    id="api.headers.drift",
    endpoint="api",
    service="shop",
    signal=Signal.HEADERS,
    rule=DriftRule(of=RULE),
    severity=Severity.LOW,
    failure_threshold=InARow(count=2),
    success_threshold=2,
    fingerprint="one",
)
GOOD = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}


class Pinned:
    """An engine over one pinned endpoint, and what it has committed."""

    def __init__(self, check: Check = PINNING) -> None:
        self.endpoint: Endpoint = make_endpoint(check)
        self.situation = Situation()
        self.seconds = 0
        self.said: list[Changes] = []
        self.restart()

    def restart(self) -> None:
        """Go on in another process."""
        situation = Situation()
        situation.apply(self.situation.everything())
        self.situation = situation
        self.engine = Engine(
            endpoints=(self.endpoint,),
            directory=make_directory(),
            situation=situation,
            mask=lambda text: text.replace("s3cret", "***"),
        )

    def sees(self, *answers: dict[str, str] | int | None) -> str:
        """Give what the newest verdict was: of headers, of a status without them, or our fault."""
        for one in answers:
            self.seconds += 30
            if one is None:
                seen = own_fault(self.seconds)
            elif isinstance(one, int):
                seen = answer_at(one, seconds=self.seconds)
            else:
                seen = replace(answer_at(seconds=self.seconds), headers=tuple(one.items()))
            self.said.append(
                self.engine.take(self.endpoint, seen, scheduled=True, now=at(self.seconds))
            )

        return self.engine.latest["api"].verdicts["api.headers.drift"].outcome.value

    @property
    def accepted(self) -> dict[str, str]:
        """Give what is accepted now."""
        pin = self.situation.pins.get("api.headers.drift")

        return dict(pin.lines) if pin else {}

    @property
    def findings(self) -> list[str]:
        """Give the reasons of what is open."""
        states = self.situation.states.values()

        return [reason.message for one in states if one.open for reason in one.last_reasons]


def test_headers_are_accepted_once_their_policies_passed_often_enough() -> None:
    pinned = Pinned()
    pinned.sees(GOOD)
    once = pinned.accepted
    pinned.sees({}, GOOD)
    restarted = pinned.accepted
    pinned.sees(None, 503, GOOD)

    assert once == {}
    assert restarted == {}
    assert pinned.accepted == {"x-content-type-options": "nosniff", "x-frame-options": "DENY"}
    assert pinned.said[-1].pins == tuple(pinned.situation.pins.values())


def test_a_header_that_vanished_is_a_finding_of_severity_low_until_it_is_back() -> None:
    pinned = Pinned()
    pinned.sees(GOOD, GOOD, {"X-Frame-Options": "DENY"}, {"X-Frame-Options": "DENY"})
    (incident,) = pinned.situation.open_incidents()
    told = pinned.findings
    pinned.sees(GOOD, GOOD)

    assert (incident.klass, incident.severity) == (IncidentClass.FINDING, Severity.LOW)
    assert told == ["header x-content-type-options vanished, accepted was nosniff"]
    assert pinned.situation.open_incidents() == []


def test_what_somebody_else_answers_is_no_drift() -> None:
    pinned = Pinned()
    pinned.sees(GOOD, GOOD)

    assert pinned.sees(503) == "waiting"
    assert pinned.sees(None) == "unknown"


def test_accepting_takes_over_what_was_seen_last_also_after_a_restart() -> None:
    pinned = Pinned()
    other = GOOD | {"X-Frame-Options": "SAMEORIGIN"}
    pinned.sees(GOOD, GOOD, other, other)
    open_before = len(pinned.situation.open_incidents())
    pinned.restart()

    changes = pinned.engine.accept_headers(PINNING, at(999))
    pinned.sees(other, other)

    assert open_before == 1
    assert changes.urgent
    assert pinned.accepted["x-frame-options"] == "SAMEORIGIN"
    assert pinned.situation.open_incidents() == []


def test_accepting_what_is_accepted_changes_nothing() -> None:
    pinned = Pinned()
    pinned.sees(GOOD, GOOD, GOOD | {"X-Frame-Options": "SAMEORIGIN"}, GOOD)

    assert not pinned.engine.accept_headers(PINNING, at(999))
    assert pinned.accepted["x-frame-options"] == "DENY"


def test_a_settled_pin_is_not_written_again() -> None:
    pinned = Pinned()
    other = GOOD | {"X-Frame-Options": "SAMEORIGIN"}
    pinned.sees(GOOD, GOOD, GOOD, other, other)

    assert [len(changes.pins) for changes in pinned.said] == [0, 1, 0, 1, 0]


def test_another_request_is_learned_anew() -> None:
    pinned = Pinned()
    pinned.sees(GOOD, GOOD)
    pinned.endpoint = make_endpoint(replace(PINNING, fingerprint="two"))
    pinned.restart()
    pinned.engine.adopt((pinned.endpoint,), make_directory(), at(pinned.seconds))

    other = {"X-Content-Type-Options": "nosniff"}
    assert pinned.sees(other) == "pass"
    pinned.sees(other)
    assert pinned.accepted == {"x-content-type-options": "nosniff"}


def test_what_is_not_pinned_any_more_is_forgotten() -> None:
    pinned = Pinned()
    pinned.sees(GOOD, GOOD)

    changes = pinned.engine.adopt((make_endpoint(),), make_directory(), at(pinned.seconds))

    assert changes.forgotten == ("api.headers.drift",)
    assert pinned.situation.pins == {}


def test_secrets_are_masked_in_what_is_kept() -> None:
    pinned = Pinned()
    leaky = GOOD | {"Content-Security-Policy": "report-uri https://a.example/s3cret"}
    pinned.sees(leaky, leaky)

    assert pinned.accepted["content-security-policy"] == "report-uri https://a.example/***"
