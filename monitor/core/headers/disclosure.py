"""The policy `no-disclosure`: an answer does not tell attackers what it was made with."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain
from monitor.core.headers.result import REMEMBERED, Policy, PolicyResult, Terms, judged

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

RESULTS: Final = ("disclosure-none", "disclosure-of-versions", "disclosure-of-products")
OWASP: Final = "owasp"
"""The level at which none of the headers may be sent that OWASP's project says to remove."""

_VERSION: Final = re.compile(r"[0-9]")
_OF_VERSIONS: Final = frozenset(
    {
        *("server", "x-powered-by", "x-aspnet-version", "x-aspnetmvc-version", "x-generator"),
        *("x-php-version", "x-owa-version", "x-umbraco-version", "x-cocoon-version"),
        *("oraclecommercecloud-version", "x-powered-by-plesk", "x-powered-cms", "powered-by"),
        *("liferay-portal", "x-jitsi-release", "x-framework", "x-cms"),
    }
)
REMOVED: Final = _OF_VERSIONS | {
    *("$wsep", "host-header", "k-proxy-request", "pega-host", "product", "sourcemap"),
    *("x-atmosphere-error", "x-atmosphere-first-request", "x-atmosphere-tracking-id"),
    *("x-b3-parentspanid", "x-b3-sampled", "x-b3-spanid", "x-b3-traceid", "x-beserver"),
    *("x-cf-powered-by", "x-calculatedbetarget", "x-content-encoded-by", "x-diaginfo"),
    *("x-envoy-attempt-count", "x-envoy-external-address", "x-envoy-internal"),
    *("x-envoy-original-dst-host", "x-envoy-upstream-service-time", "x-feserver"),
    *("x-generated-by", "x-kubernetes-pf-flowschema-ui", "x-kubernetes-pf-prioritylevel-uid"),
    *("x-litespeed-cache", "x-litespeed-purge", "x-litespeed-tag", "x-litespeed-vary"),
    *("x-litespeed-cache-control", "x-mod-pagespeed", "x-nextjs-cache"),
    *("x-nextjs-matched-path", "x-nextjs-page", "x-nextjs-redirect", "x-old-content-length"),
    *("x-oneagent-js-injection", "x-page-speed", "x-redirect-by", "x-server-powered-by"),
    *("x-sourcefiles", "x-sourcemap", "x-turbo-charged-by", "x-varnish-backend"),
    *("x-varnish-server", "x-dtagentid", "x-dthealthcheck", "x-dtinjectedservlet"),
    *("x-ruxit-js-agent",),
}
"""The names that OWASP's secure headers project says to remove, in lower case."""


def judge(observation: Observation, terms: Terms) -> PolicyResult:
    """Judge the headers that name products: their versions, or at the level `owasp` any of them."""
    telling = tuple([line for line in observation.headers if line[0].lower() in REMOVED])

    return _judge_lines(telling, terms.level == OWASP)


@lru_cache(maxsize=REMEMBERED)
def _judge_lines(lines: tuple[tuple[str, str], ...], strict: bool) -> PolicyResult:
    versions = [
        (name, value)
        for name, value in lines
        if name.lower() in _OF_VERSIONS and _VERSION.search(value)
    ]
    if versions:
        return _result("of-versions", versions, strict)
    if lines:
        return _result("of-products", list(lines), strict, passed=not strict)

    return _result("none", [], strict, passed=True)


def _result(
    result: str, lines: list[tuple[str, str]], strict: bool, *, passed: bool = False
) -> PolicyResult:
    found = plain("; ".join(f"{name.lower()}: {value}" for name, value in lines)) or "none"
    said = f"the answer tells what it is made with: {found}"

    return judged(
        Policy.NO_DISCLOSURE,
        f"disclosure-{result}",
        said if lines else "no header tells what the answer is made with",
        expected="none of these headers" if strict else "no version in them",
        found=found,
        passed=passed,
    )
