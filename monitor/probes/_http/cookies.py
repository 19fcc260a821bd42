"""The cookies that the answers of one probe set, as browsers keep them (RFC 6265)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from yarl import URL

_MOST: Final = 180
_LONGEST: Final = 4096
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cookie:
    """One cookie and where it is sent: to `domain`, and to what is below it unless `exact`."""

    name: str
    value: str
    domain: str
    exact: bool
    path: str
    secure: bool

    def goes_to(self, url: URL) -> bool:
        host = _host(url)
        below = not self.exact and host.endswith(f".{self.domain}")
        if not (host == self.domain or below) or (self.secure and url.scheme != "https"):
            return False

        path = url.raw_path or "/"
        if not path.startswith(self.path):
            return False

        return path == self.path or self.path.endswith("/") or path[len(self.path)] == "/"


class Jar:
    """Keeps cookies from one redirect to the next."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str, str], _Cookie] = {}

    def take(self, lines: Iterable[str], url: URL, now: datetime) -> None:
        """Keep what the `Set-Cookie` lines of an answer from this URL set, forget what they end."""
        for line in lines:
            if len(line) > _LONGEST or _CONTROLS.search(line):
                continue
            pair, _, rest = line.partition(";")
            name, _, value = pair.partition("=")
            attributes = _read_attributes(rest)
            place = _place(attributes.get("domain", ""), _host(url))
            if not name.strip() or place is None:
                continue

            path = attributes.get("path", "")
            cookie = _Cookie(
                name=name.strip(),
                value=value.strip(),
                domain=place[0],
                exact=place[1],
                path=path if path.startswith("/") else _default_path(url),
                secure="secure" in attributes,
            )
            self._put(cookie, ended=_has_ended(attributes, now))

    def header_for(self, url: URL) -> str:
        """Give what a request to this URL says in `Cookie`; empty for nothing."""
        sent = [cookie for cookie in self._cookies.values() if cookie.goes_to(url)]
        sent.sort(key=lambda cookie: -len(cookie.path))  # and the older first, as they were put

        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in sent)

    def _put(self, cookie: _Cookie, *, ended: bool) -> None:
        key = cookie.name, cookie.domain, cookie.path
        if ended:
            self._cookies.pop(key, None)
        elif key in self._cookies or len(self._cookies) < _MOST:
            self._cookies[key] = cookie


def _read_attributes(text: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for part in text.split(";"):
        name, _, value = part.partition("=")
        found[name.strip().lower()] = value.strip()

    return found


def _place(wanted: str, host: str) -> tuple[str, bool] | None:
    """Give the domain of a cookie and whether it is for that host alone; None: not to be set."""
    domain = wanted.removeprefix(".").lower()
    if not domain or domain == host:
        return host, not domain or _is_address(host)
    if "." not in domain or not host.endswith(f".{domain}") or _is_address(host):
        return None

    return domain, False


def _default_path(url: URL) -> str:
    return url.raw_path.rpartition("/")[0] or "/"


def _has_ended(attributes: Mapping[str, str], now: datetime) -> bool:
    age = attributes.get("max-age", "")
    if re.fullmatch(r"-?[0-9]+", age):
        return age.startswith("-") or not age.strip("0")

    try:
        until = parsedate_to_datetime(attributes.get("expires", ""))
    except (ValueError, OverflowError):
        return False

    return (until if until.tzinfo else until.replace(tzinfo=UTC)) <= now


def _host(url: URL) -> str:
    return (url.raw_host or "").lower()


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False

    return True
