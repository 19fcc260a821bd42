"""The policy `sri`: scripts of other sites come over HTTPS and cannot be changed unnoticed."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain
from monitor.core.headers.page import is_html, scripts_in_page
from monitor.core.headers.result import Policy, PolicyResult, Terms, judged

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

Scripts = tuple[tuple[str, str], ...]

_ALL: Final = "sri-implemented-and-all-scripts-loaded-securely"
_EXTERNAL: Final = "sri-implemented-and-external-scripts-loaded-securely"
_WITHOUT: Final = "sri-not-implemented-but-external-scripts-loaded-securely"
_INSECURE: Final = "sri-implemented-but-external-scripts-not-loaded-securely"
_NEITHER: Final = "sri-not-implemented-and-external-scripts-not-loaded-securely"
_NO_HTML: Final = "sri-not-implemented-response-not-html"
_NO_SCRIPT: Final = "sri-not-implemented-but-no-scripts-loaded"
_SAME_SITE: Final = "sri-not-implemented-but-all-scripts-loaded-from-secure-origin"
RESULTS: Final = (
    *(_ALL, _EXTERNAL, _NO_HTML, _NO_SCRIPT, _SAME_SITE),
    *(_WITHOUT, _INSECURE, _NEITHER),
)
_MILDEST_FIRST: Final = (_INSECURE, _WITHOUT, _NEITHER)
_WHY: Final = {
    _WITHOUT: "without an integrity attribute",
    _INSECURE: "not over https://",
    _NEITHER: "without an integrity attribute, and not over https://",
}
_EXPECTED: Final = "https:// and an integrity attribute on scripts of other sites"
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?:[^/?#@]*@)?(?P<host>\[[^\]]*\]|[^/?#:]*)", re.IGNORECASE
)
_ADDRESS: Final = re.compile(r"\[.*|[0-9.]+")
_REGISTRIES: Final = frozenset(
    {
        *("ac", "co", "com", "edu", "gob", "gov", "gouv", "go", "gv", "id", "ltd", "me", "mil"),
        *("ne", "net", "nhs", "nom", "or", "org", "plc", "sch"),
    }
)
"""Under a country's domain, names are commonly sold below these."""


def judge(observation: Observation, terms: Terms) -> PolicyResult:
    """Judge each script that comes from another site than the page; others are its own."""
    del terms
    if not is_html(observation):
        return _result(_NO_HTML, "the answer is no page", "no page", passed=True)

    scripts = scripts_in_page(observation)
    if not scripts:
        return _result(_NO_SCRIPT, "the page has no scripts", "no scripts", passed=True)

    page = _URL.match(observation.url)

    return _judge_scripts(scripts, page["host"] if page else "", observation.over_tls)


@lru_cache(maxsize=256)
def _judge_scripts(scripts: Scripts, host: str, secure: bool) -> PolicyResult:
    foreign: list[tuple[str, str]] = []
    wrong: list[tuple[str, str]] = []
    bonus = False
    for source, integrity in scripts:
        url = _URL.match(source)
        over_https = url["scheme"].lower() == "https" if url else secure
        if not _is_foreign(source, host):
            bonus = bonus or bool(source and integrity and over_https and not wrong)
            continue

        foreign.append((source, integrity))
        over_https = over_https and url is not None
        if not integrity or not over_https:
            result = _INSECURE if integrity else _WITHOUT if over_https else _NEITHER
            wrong.append((result, source))

    if wrong:
        result, source = max(wrong, key=lambda one: _MILDEST_FIRST.index(one[0]))
        found = plain(source)
        return _result(result, f"the page loads the script {found} {_WHY[result]}", found)
    if bonus:
        said = "scripts have an integrity attribute, those of other sites all of them"
        return _result(_ALL, said, f"{len(scripts)} scripts", passed=True)
    if foreign:
        said = "all scripts of other sites have an integrity attribute"
        return _result(_EXTERNAL, said, f"{len(foreign)} scripts of other sites", passed=True)

    return _result(_SAME_SITE, "all scripts are the site's own", "no foreign scripts", passed=True)


def _is_foreign(source: str, host: str) -> bool:
    """Whether a script comes from another site; `//host` counts, as its scheme may be plain."""
    if source.startswith("//"):
        return not source.startswith("///")
    url = _URL.match(source)

    return url is not None and _site(url["host"]) != _site(host)


def _site(host: str) -> str:
    """Give the part of a name that one owner registers, as far as it can be told from the name."""
    host = host.lower().rstrip(".")
    if _ADDRESS.fullmatch(host):
        return host

    labels = host.split(".")
    nation = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _REGISTRIES

    return ".".join(labels[-3 if nation else -2 :])


def _result(result: str, said: str, found: str, *, passed: bool = False) -> PolicyResult:
    return judged(Policy.SRI, result, said, expected=_EXPECTED, found=found, passed=passed)
