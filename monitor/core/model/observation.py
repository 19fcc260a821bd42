"""What a probe saw: facts about one request, without any judgement."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Code(StrEnum):
    """Why a verdict is not a pass: the closed set of `reasons.code`."""

    STATUS = "status"
    DNS = "dns"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_RESET = "connection_reset"
    TIMEOUT = "timeout"
    TLS_HANDSHAKE = "tls_handshake"
    TLS_CERT_EXPIRED = "tls_cert_expired"
    TLS_CERT_NOT_YET_VALID = "tls_cert_not_yet_valid"
    TLS_CERT_HOSTNAME = "tls_cert_hostname"
    TLS_CERT_UNTRUSTED = "tls_cert_untrusted"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    BAD_RESPONSE = "bad_response"
    EXPECTATION = "expectation"
    CREDENTIALS = "credentials"
    QUERY = "query"
    RCODE = "rcode"
    EXIT_CODE = "exit_code"
    HEARTBEAT_MISSED = "heartbeat_missed"
    HEARTBEAT_FAILED = "heartbeat_failed"
    WITNESS = "witness"
    INTERNAL = "internal"


WITHOUT_ANSWER: Final = frozenset(
    {
        Code.DNS,
        Code.CONNECTION_REFUSED,
        Code.CONNECTION_RESET,
        Code.TIMEOUT,
        Code.TLS_HANDSHAKE,
    }
)
"""Faults in which no target answered: only for these are the witnesses asked."""

OWN_TROUBLE: Final = frozenset({Code.WITNESS, Code.INTERNAL})
"""What is wrong with the monitor itself, or with its network, and with no target."""


CERTIFICATE_FAULTS: Final = frozenset(
    {
        Code.TLS_CERT_EXPIRED,
        Code.TLS_CERT_NOT_YET_VALID,
        Code.TLS_CERT_HOSTNAME,
        Code.TLS_CERT_UNTRUSTED,
    }
)
"""Faults in which a certificate was presented, but not accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why there is no complete answer.

    `own` marks the monitor's own fault (descriptors ran out, cancelled by shutdown, a bug): such
    an observation is judged unknown, never fail. `unanswered` is the name about which no resolver
    said anything, as far as this failed for want of its address: whose fault that is, is open.
    `nameserver` is the DNS server that was asked since the endpoint names it: a part of the way to
    the target, of which this machine's own resolver tells nothing. Where an answer was judged while
    it was asked for, `expected`, `found` and `at` are those of the reason, and `of_time` says that
    nothing but its time was wrong. `asked` is what was asked, as it may be shown, where that is one
    of several requests.
    """

    code: Code
    message: str
    own: bool = False
    unanswered: str = ""
    nameserver: str = ""
    expected: str = ""
    found: str = ""
    at: str = ""
    of_time: bool = False
    asked: str = ""


class Phase(StrEnum):
    """The parts of a request's time, in order."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    PROCESSING = "processing"
    TRANSFER = "transfer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Facts of the certificates that a peer presented, also when verification failed.

    `not_after` and `not_before` are of the leaf; `earliest_not_after` is the earliest expiry in
    the whole presented chain (blackbox_exporter's `probe_ssl_earliest_cert_expiry`).
    `trusted_not_after` is that of the chain which was verified, up to an authority that is known:
    it may be another than was presented. None where none was.
    """

    subject: str
    issuer: str
    subject_alternative_names: tuple[str, ...]
    serial_number: str
    fingerprint_sha256: str
    not_before: datetime
    not_after: datetime
    earliest_not_after: datetime
    verified: bool
    trusted_not_after: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One sample of a series that belongs to a kind of probe; the kind says what it means."""

    family: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One redirect that was answered on the way: its URL, status and where it pointed.

    `cookies` are its Set-Cookie lines.
    """

    url: str
    status: int
    location: str
    cookies: tuple[str, ...] = ()


NO_VALUES: Final[Mapping[str, object]] = MappingProxyType({})
HeaderLines = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The facts of one probe.

    `at` is the wall clock at the start, UTC. `duration` is the whole probe. `phases` sums each
    phase over redirects; a phase that never took place is absent. `headers` are the raw lines of
    the final answer, in the order received, repeated names kept. `body` holds decoded bytes up to
    the limit, `body_truncated` says that there was more. `content_length` is the declared length
    on the wire or None. `status` may be present together with a fault (headers came, body did
    not). `late` is for how much of `duration` the monitor itself was late, as far as it knows.
    `preflight` are the header lines with which a preflight request of a foreign origin was
    answered, None where none was asked or answered; it is no part of `duration`. `values` are what
    a kind of probe brought besides, by the names under which expectations read it (`value`, `rows`,
    `dns_answer`, `rcode`, `exit_code`, `output`): text, numbers, true, false, null, and lists and
    maps of them. `measures` are the series of this kind of probe, for Prometheus. `not_yet` says
    why nothing can be judged before a later look, where two are needed. `remark` is what has to be
    said with whatever is wrong with the answer; `no_figure` says why no figure can be in it, though
    there is an answer: its health may be judged, a value of it not. `summary` is how it stands in
    one sentence, for people who look.
    """

    at: datetime
    duration: timedelta
    fault: Fault | None = None
    phases: Mapping[Phase, timedelta] = field(default_factory=lambda: MappingProxyType({}))
    url: str = ""
    status: int | None = None
    http_version: str | None = None
    headers: HeaderLines = ()
    body: bytes = b""
    body_truncated: bool = False
    content_length: int | None = None
    redirects: tuple[Hop, ...] = ()
    certificate: Certificate | None = None
    tls_version: str | None = None
    ip_family: int | None = None
    address: str | None = None
    late: timedelta = timedelta()
    preflight: HeaderLines | None = None
    values: Mapping[str, object] = field(default_factory=lambda: NO_VALUES)
    measures: tuple[Measure, ...] = ()
    not_yet: str = ""
    remark: str = ""
    no_figure: str = ""
    summary: str = ""

    def header(self, name: str) -> tuple[str, ...]:
        """Give all values of a header, in the order received; the name in any case."""
        wanted = name.lower()

        return tuple(value for key, value in self.headers if key.lower() == wanted)

    @property
    def over_tls(self) -> bool:
        """Whether the final hop spoke TLS."""
        return self.tls_version is not None
