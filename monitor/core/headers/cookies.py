"""The policy `cookies`: cookies travel by HTTPS alone, and sessions stay out of scripts' reach."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain
from monitor.core.headers import hsts
from monitor.core.headers.result import REMEMBERED, USUAL, Policy, PolicyResult, Terms, judged

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

_GOOD: Final = (
    "cookies-secure-with-httponly-sessions-and-samesite",
    "cookies-secure-with-httponly-sessions",
    "cookies-not-found",
)
_MILDEST_FIRST: Final = (
    "cookies-without-secure-flag-but-protected-by-hsts",
    "cookies-without-secure-flag",
    "cookies-session-without-secure-flag-but-protected-by-hsts",
    "cookies-samesite-flag-invalid",
    "cookies-anticsrf-without-samesite-flag",
    "cookies-session-without-httponly-flag",
    "cookies-session-without-secure-flag",
)
RESULTS: Final = (*_GOOD, *_MILDEST_FIRST)
_WHY: Final = {
    "cookies-without-secure-flag-but-protected-by-hsts": "has no Secure flag, though HSTS is on",
    "cookies-without-secure-flag": "has no Secure flag",
    "cookies-session-without-secure-flag-but-protected-by-hsts": (
        "looks like a session and has no Secure flag, though HSTS is on"
    ),
    "cookies-samesite-flag-invalid": (
        "has a SameSite flag that browsers do not take: expected Strict, Lax, or None with Secure"
    ),
    "cookies-anticsrf-without-samesite-flag": "guards against forged requests without SameSite",
    "cookies-session-without-httponly-flag": "looks like a session and has no HttpOnly flag",
    "cookies-session-without-secure-flag": "looks like a session and has no Secure flag",
}
HEADER: Final = "set-cookie"
_EXPECTED: Final = "Secure on every cookie, HttpOnly on sessions and SameSite against forgery"
_SAME_SITE: Final = frozenset({"strict", "lax", "none"})
_URL: Final = re.compile(
    r"https?://(?P<host>\[[^\]]*\]|[^/?#:]*)(?::[0-9]*)?(?P<directory>/[^?#]*(?=/))?", re.IGNORECASE
)
_DATE: Final = re.compile(r"\s*expires\s*=[^;]*;?", re.IGNORECASE)
_OF_A_BALANCER: Final = "heroku-session-affinity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """What matters of one cookie; `same_site` is empty where it has none that browsers know."""

    name: str
    domain: str
    path: str
    secure: bool
    http_only: bool
    same_site: str


def judge(observation: Observation, terms: Terms) -> PolicyResult:
    """Judge the cookies that the answer and the redirects before it set."""
    sent = [(hop.url, line) for hop in observation.redirects for line in hop.cookies]
    sent += [(observation.url, line) for line in observation.header(HEADER)]
    if not sent:
        return _result("cookies-not-found", "no cookie is set", "none", passed=True)

    lines = tuple([(url, _lasting(line)) for url, line in sent])

    return _judge_lines(lines, hsts.judge(observation, USUAL).passed, terms.required)


def _lasting(line: str) -> str:
    """Leave out what is new in each answer and never judged: the value, a secret, and dates."""
    pair, semicolon, attributes = line.partition(";")
    name, equals, _ = pair.partition("=")

    return name + equals + semicolon + _DATE.sub("", attributes)


@lru_cache(maxsize=REMEMBERED)
def _judge_lines(
    lines: tuple[tuple[str, str], ...], hsts_holds: bool, same_site: bool
) -> PolicyResult:
    read = [cookie for url, line in lines if (cookie := read_cookie(line, url)) is not None]
    kept = list({(cookie.name, cookie.domain, cookie.path): cookie for cookie in read}.values())
    if not kept:
        return _result("cookies-not-found", "no cookie is set", "none", passed=True)

    # a flag that browsers do not take counts also where they take nothing else of the line
    wrong = [
        ("cookies-samesite-flag-invalid", line.partition("=")[0].strip())
        for _, line in lines
        if has_strange_same_site(line)
    ]
    wrong += [(result, cookie.name) for cookie in kept for result in _flaws(cookie, hsts_holds)]
    if wrong:
        result, name = max(wrong, key=lambda one: _MILDEST_FIRST.index(one[0]))
        name = plain(name)
        return _result(result, f"cookie {name} {_WHY[result]}", name)

    names = plain(", ".join(cookie.name for cookie in kept))
    said = f"{'cookie' if len(kept) == 1 else 'cookies'} {names}"
    without = [plain(cookie.name) for cookie in kept if not cookie.same_site]
    if without:
        said += f": Secure, {plain(', '.join(without))} without SameSite"
        return _result("cookies-secure-with-httponly-sessions", said, names, passed=not same_site)

    return _result(
        "cookies-secure-with-httponly-sessions-and-samesite",
        f"{said}: Secure, with SameSite",
        names,
        passed=True,
    )


def _flaws(cookie: Cookie, hsts_holds: bool) -> list[str]:
    name = cookie.name.lower()
    session = "login" in name or "sess" in name
    hidden = "-but-protected-by-hsts" if hsts_holds else ""
    flaws = []
    if not cookie.secure:
        flaws.append(f"cookies-without-secure-flag{hidden}")
    if not cookie.secure and cookie.same_site == "none":
        flaws.append("cookies-samesite-flag-invalid")
    if "csrf" in name and not cookie.same_site:
        flaws.append("cookies-anticsrf-without-samesite-flag")
    if session and not cookie.secure:
        flaws.append(f"cookies-session-without-secure-flag{hidden}")
    if session and not cookie.http_only:
        flaws.append("cookies-session-without-httponly-flag")

    return flaws


def read_cookie(line: str, url: str) -> Cookie | None:
    """Read a Set-Cookie line of the answer of a URL by RFC 6265; None where browsers ignore it.

    The name prefixes `__Secure-` and `__Host-` are promises that a cookie has to keep.
    """
    pair, *attributes = line.split(";")
    name, equals, _ = pair.partition("=")
    name = name.strip()
    if not equals or not name or name == _OF_A_BALANCER:
        return None

    flags = dict(_flags(attributes))
    asked = _URL.match(url)
    host, directory = (asked["host"].lower(), asked["directory"] or "/") if asked else ("", "/")
    secure, path = "secure" in flags, flags.get("path", "")
    path = path if path.startswith("/") else directory
    domain = flags.get("domain", "").lower().removeprefix(".")
    if domain and not (host == domain or (host.endswith(f".{domain}") and "." in domain)):
        return None
    if name.startswith("__Secure-") and not secure:
        return None
    if name.startswith("__Host-") and not (secure and path == "/" and not domain):
        return None

    same_site = flags.get("samesite", "").lower()

    return Cookie(
        name=name,
        domain=domain or host,
        path=path,
        secure=secure,
        http_only="httponly" in flags,
        same_site=same_site if same_site in _SAME_SITE else "",
    )


def has_strange_same_site(line: str) -> bool:
    """Whether a line has a SameSite of no value that browsers know."""
    flags = _flags(line.split(";")[1:])

    return any(key == "samesite" and value.lower() not in _SAME_SITE for key, value in flags)


def _flags(attributes: list[str]) -> list[tuple[str, str]]:
    parts = [attribute.partition("=") for attribute in attributes]

    return [(key.strip().lower(), value.strip()) for key, _, value in parts]


def _result(result: str, said: str, found: str, *, passed: bool = False) -> PolicyResult:
    return judged(Policy.COOKIES, result, said, expected=_EXPECTED, found=found, passed=passed)
