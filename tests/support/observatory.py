"""Answers as MDN's HTTP Observatory and our bundle of that name see them, side by side."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monitor.core.headers import Policy, PolicyResult, judge_policy
from monitor.core.headers.cors import FOREIGN_ORIGIN
from monitor.core.headers.demands import BUNDLES
from monitor.core.model.observation import Code, Fault, Hop
from tests.support.judging import answer, no_answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.core.model.observation import Observation

POLICY_OF_TEST: Final = {
    "content-security-policy": Policy.CSP,
    "cookies": Policy.COOKIES,
    "cross-origin-resource-sharing": Policy.CORS,
    "redirection": Policy.HTTPS_REDIRECT,
    "referrer-policy": Policy.REFERRER_POLICY,
    "strict-transport-security": Policy.HSTS,
    "subresource-integrity": Policy.SRI,
    "x-content-type-options": Policy.NOSNIFF,
    "x-frame-options": Policy.CLICKJACKING,
    "cross-origin-resource-policy": Policy.CORP,
}
_JUDGE: Final = Path(__file__).with_name("observatory_judge.mjs")
_VECTORS: Final = Path(__file__).with_name("header_vectors.json")

Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Site:
    """How a site answers. `https` is valid, selfsigned or closed; `http` redirect, same or closed.

    In texts `$HTTPS`, `$HTTP` and `$OTHERHTTPS` stand for its origins, `$ORIGIN` for the origin of
    whoever asks.
    """

    headers: Lines = ()
    body: str = ""
    preflight: Lines = ()
    https: str = "valid"
    http: str = "redirect"
    redirects: tuple[str, ...] = ("$HTTPS/",)

    def as_json(self) -> str:
        """Write it for the other judge."""
        return json.dumps(
            {
                "headers": self.headers,
                "body": self.body,
                "preflight": self.preflight,
                "https": self.https,
                "http": self.http,
                "redirects": self.redirects if self.http == "redirect" else None,
            }
        )


@dataclass(frozen=True, kw_only=True)
class Vector:
    """A site, and the code and verdict that each policy is to give."""

    id: str
    site: Site
    verdicts: dict[Policy, tuple[str, bool]]
    quirks: frozenset[Policy] = field(default_factory=frozenset)


def read_vectors() -> list[Vector]:
    """Read the recorded sites with the verdicts of the Observatory."""
    return [
        Vector(
            id=raw["id"],
            site=Site(
                headers=tuple((name, value) for name, value in raw["headers"]),
                body=raw["body"],
                preflight=tuple((name, value) for name, value in raw["preflight"]),
                https=raw["https"],
                http=raw["http"],
                redirects=tuple(raw["redirects"]),
            ),
            verdicts={
                POLICY_OF_TEST[test]: (result, passed)
                for test, (result, passed) in raw["verdicts"].items()
            },
            quirks=frozenset(POLICY_OF_TEST[test] for test in raw["quirks"]),
        )
        for raw in json.loads(_VECTORS.read_text())
    ]


def judge_site(site: Site) -> dict[Policy, PolicyResult]:
    """Judge a site by our bundle; the redirects by the URL that begins with `http://`."""
    plain, secure = _seen_over_http(site), _seen_over_https(site)
    final = plain if site.https == "closed" else secure

    return {
        rule.policy: judge_policy(rule, plain if rule.policy is Policy.HTTPS_REDIRECT else final)
        for rule in BUNDLES["observatory"]
    }


def _seen_over_https(site: Site) -> Observation:
    match site.https:
        case "valid":
            return _seen(site, "https://127.0.0.1:8443/", tls_version="TLS 1.3")
        case "selfsigned":
            return no_answer(Code.TLS_CERT_UNTRUSTED, "the certificate is self-signed")

    return no_answer(Code.CONNECTION_REFUSED)


def _seen_over_http(site: Site) -> Observation:
    start = "http://127.0.0.1:8080/"
    if site.http == "closed":
        return answer(
            status=None,
            url=start,
            fault=Fault(code=Code.CONNECTION_REFUSED, message="nobody listens"),
        )
    if site.http == "same":
        return _seen(site, start)

    urls = [start, *(_fill(one) for one in site.redirects)]
    hops = tuple(Hop(url=url, status=301, location=location) for url, location in pairwise(urls))
    if urls[-1].startswith("https") and site.https == "selfsigned":
        fault = Fault(code=Code.TLS_CERT_UNTRUSTED, message="the certificate is self-signed")
        return answer(status=None, url=urls[-1], redirects=hops, fault=fault)

    secure = "TLS 1.3" if urls[-1].startswith("https") else None

    return _seen(site, urls[-1], redirects=hops, tls_version=secure)


def _seen(site: Site, url: str, **facts: Any) -> Observation:
    return answer(
        url=url,
        headers=tuple((name, _fill(value)) for name, value in site.headers),
        body=site.body.encode(),
        preflight=tuple((name, _fill(value)) for name, value in site.preflight),
        **facts,
    )


def _fill(text: str) -> str:
    return (
        text.replace("$ORIGIN", FOREIGN_ORIGIN)
        .replace("$OTHERHTTPS", "https://localhost:8443")
        .replace("$HTTPS", "https://127.0.0.1:8443")
        .replace("$HTTP", "http://127.0.0.1:8080")
    )


def ask_observatory(
    home: Path, sites: Iterable[Site], *, certificate: Path, authority: Path, timeout: float
) -> list[dict[Policy, tuple[str, bool]]]:
    """Let the package that is installed at `home` scan each site on loopback."""
    done = subprocess.run(
        ["node", str(_JUDGE), str(home), str(certificate)],
        input="".join(f"{site.as_json()}\n" for site in sites),
        capture_output=True,
        check=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "NODE_EXTRA_CA_CERTS": str(authority)},
    )

    return [
        {
            POLICY_OF_TEST[test]: (result, bool(passed))
            for test, (result, passed) in json.loads(line).items()
        }
        for line in done.stdout.splitlines()
    ]
