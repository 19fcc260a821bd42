"""The policy `https-redirect`: whoever comes by plain HTTP is sent to HTTPS at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain
from monitor.core.headers.result import Policy, PolicyResult, Terms, judged, not_evaluated
from monitor.core.model.observation import CERTIFICATE_FAULTS, Code

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

RESULTS: Final = (
    "redirection-to-https",
    "redirection-not-needed-no-http",
    "redirection-off-host-from-http",
    "redirection-not-to-https-on-initial-redirection",
    "redirection-not-to-https",
    "redirection-missing",
    "redirection-invalid-cert",
)
_EXPECTED: Final = "a redirect to HTTPS on the same host"
_ORIGIN: Final = re.compile(
    r"(?P<scheme>https?)://(?:[^/?#@]*@)?(?P<host>\[[^\]]*\]|[^/?#:]*)", re.IGNORECASE
)


def judge(observation: Observation, terms: Terms) -> PolicyResult:
    """Judge the way from an `http://` URL; only the redirects matter, not how the end answers.

    Nobody listening for plain HTTP is as good as a redirect.
    """
    del terms
    fault = observation.fault
    route = [_read(hop.url) for hop in observation.redirects]
    if observation.status is not None or not route:
        route.append(_read(observation.url))
    first = route[0]
    if first[0] != "http" or (fault is not None and fault.own):
        return not_evaluated(Policy.HTTPS_REDIRECT, "no answer to an http:// URL to judge")

    if fault is not None and fault.code in CERTIFICATE_FAULTS:
        return _result("redirection-invalid-cert", f"the way leads to {fault.message}", "")
    if fault is not None and fault.code is Code.CONNECTION_REFUSED and not observation.redirects:
        said = "nobody listens for plain HTTP"
        return _result("redirection-not-needed-no-http", said, "refused", passed=True)
    ends = fault is None or fault.code is Code.TOO_MANY_REDIRECTS or observation.status is not None
    if not ends:
        return not_evaluated(Policy.HTTPS_REDIRECT, "no answer to judge")

    return _judge_route(route, plain(observation.url))


def _judge_route(route: list[tuple[str, str]], end: str) -> PolicyResult:
    if len(route) == 1:
        return _result("redirection-missing", "plain HTTP is answered, not redirected", end)
    if route[-1][0] != "https":
        return _result("redirection-not-to-https", f"the redirects end at {end}", end)
    if route[1][0] != "https":
        said = "the first redirect leads to plain HTTP again, only a later one to HTTPS"
        return _result("redirection-not-to-https-on-initial-redirection", said, end)
    if route[0][1] != route[1][1]:
        said = (
            f"plain HTTP on {plain(route[0][1])} redirects to another host, {plain(route[1][1])}, "
            "so that HSTS is never learned for the first"
        )
        return _result("redirection-off-host-from-http", said, end)

    return _result("redirection-to-https", f"plain HTTP redirects to {end}", end, passed=True)


def _read(url: str) -> tuple[str, str]:
    """Give scheme and host of a URL, in lower case."""
    found = _ORIGIN.match(url)

    return (found["scheme"].lower(), found["host"].lower()) if found else ("", "")


def _result(result: str, said: str, found: str, *, passed: bool = False) -> PolicyResult:
    return judged(
        Policy.HTTPS_REDIRECT, result, said, expected=_EXPECTED, found=found, passed=passed
    )
