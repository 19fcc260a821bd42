"""What is sent, and what is sent next when a server redirects."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from yarl import URL

from monitor.core.headers.cors import FOREIGN_ORIGIN
from monitor.core.model.observation import Code, Fault
from monitor.fields import live_secret
from monitor.probes._http.auth import encode_pair
from monitor.probes._http.urls import SECRET_NAME, show_location
from monitor.probes._net.faults import Faulted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.probes._http.options import HttpOptions, RequestOptions

_LONGEST_SHOWN: Final = 200
_STAYS_HOME: Final = frozenset({"authorization", "cookie", "proxy-authorization", "host"})
_OF_THE_BODY: Final = frozenset({"content-type", "content-encoding", "content-language"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; the headers carry everything but Host and the lengths."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes | None


def is_constant(options: HttpOptions) -> bool:
    """Say whether the same is sent each time: nothing of it comes from a file."""
    spec = options.request
    secrets = list(spec.headers.values())
    if spec.auth:
        secrets += spec.auth.given
    if spec.proxy:
        secrets.append(spec.proxy)
    bodies = (spec.body, spec.payload, spec.form)

    return (
        spec.body_file is None
        and not (spec.auth and spec.auth.oauth2)
        and not any(secret.live for secret in secrets)
        and not any(_holds_live_text(body) for body in bodies)
    )


def first_request(options: HttpOptions, user_agent: str) -> Request:
    """Write the request that an endpoint's options ask for, as its files are now.

    Raises Faulted where `body_file` cannot be read.
    """
    url = URL(options.url)
    spec = options.request
    headers = {"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": spec.compression.asked}
    body, content_type = _write_body(spec)
    if content_type is not None:
        headers["Content-Type"] = content_type
    if (authorization := _write_authorization(url, spec)) is not None:
        headers["Authorization"] = authorization

    given = {name: value.reveal() for name, value in spec.headers.items()}
    lowered = {name.lower() for name in given}
    headers = {name: value for name, value in headers.items() if name.lower() not in lowered}

    return Request(
        method=spec.method,
        url=_without_person(url),
        headers=headers | given,
        body=body,
    )


def next_request(request: Request, status: int, location: str) -> Request:
    """Write the request that a redirect asks for.

    Where it leads to another origin, credentials and the configured Host stay behind for good.
    Raises Faulted where it leads to no http or https URL.
    """
    try:
        url = _without_person(request.url.join(URL(location)))
        usable = url.scheme in ("http", "https") and bool(url.host)
    except ValueError:
        usable = False
    if not usable:
        shown = ascii(show_location(location)[:_LONGEST_SHOWN])
        message = f"the answer redirects to {shown}, which is not an http or https URL"
        raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message))

    headers = dict(request.headers)
    method, body = request.method, request.body
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", None
        headers = {
            name: value for name, value in headers.items() if name.lower() not in _OF_THE_BODY
        }
    if url.origin() != request.url.origin():
        headers = {name: value for name, value in headers.items() if not _stays_home(name)}
    if not url.fragment and request.url.fragment:
        url = url.with_fragment(request.url.fragment)

    return replace(request, method=method, url=url, headers=headers, body=body)


def preflight_request(url: URL, options: HttpOptions, user_agent: str) -> Request:
    """Write the request with which a browser asks what a foreign origin may do; without secrets."""
    headers = {
        "User-Agent": user_agent,
        "Accept": "*/*",
        "Origin": FOREIGN_ORIGIN,
        "Access-Control-Request-Method": "GET",
    }
    if url.origin() == URL(options.url).origin():
        given = options.request.headers.items()
        headers |= {name: value.reveal() for name, value in given if name.lower() == "host"}

    return Request(method="OPTIONS", url=_without_person(url), headers=headers, body=None)


def with_cookies(request: Request, cookies: str) -> Request:
    """Add cookies that this probe was given to those that are configured."""
    if not cookies:
        return request

    name = next((name for name in request.headers if name.lower() == "cookie"), "Cookie")
    configured = request.headers.get(name)
    value = f"{configured}; {cookies}" if configured else cookies

    return replace(request, headers={**request.headers, name: value})


def _stays_home(name: str) -> bool:
    return name.lower() in _STAYS_HOME or SECRET_NAME.search(name) is not None


def _without_person(url: URL) -> URL:
    return url.with_user(None) if url.raw_user or url.raw_password else url


def _write_body(spec: RequestOptions) -> tuple[bytes | None, str | None]:
    if spec.body is not None:
        return str(as_it_is_now(spec.body)).encode(), None
    if spec.body_file is not None:
        return _read_body_file(spec.body_file), None
    if spec.has_payload:
        return json.dumps(
            as_it_is_now(spec.payload), ensure_ascii=False
        ).encode(), "application/json"
    if spec.form is not None:
        return urlencode(as_it_is_now(spec.form)).encode(), "application/x-www-form-urlencoded"

    return None, None


def _holds_live_text(value: Any) -> bool:
    """Say whether any part came from a file. Any: a JSON document of the user's."""
    if isinstance(value, dict):
        return any(_holds_live_text(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_holds_live_text(inner) for inner in value)

    return live_secret(value) is not None


def as_it_is_now(value: Any) -> Any:
    """Read again what came from a file, at any depth. Any: a JSON document of the user's."""
    if isinstance(value, dict):
        return {key: as_it_is_now(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_it_is_now(inner) for inner in value]

    live = live_secret(value)

    return value if live is None else live.reveal()


def _read_body_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        message = f"body_file {path} cannot be read: {error.strerror}"
        raise Faulted(Fault(code=Code.INTERNAL, message=message, own=True)) from error


def _write_authorization(url: URL, spec: RequestOptions) -> str | None:
    if spec.auth and spec.auth.bearer:
        return f"Bearer {spec.auth.bearer.reveal()}"
    if spec.auth and spec.auth.oauth2:
        return f"Bearer {spec.auth.oauth2.latest.secret.current}"

    person: tuple[str, str] | None = None
    if spec.auth and spec.auth.basic:
        person = spec.auth.basic.username, spec.auth.basic.password.reveal()
    elif url.raw_user or url.raw_password:
        person = url.user or "", url.password or ""
    if person is None:
        return None

    return f"Basic {encode_pair(*person)}"
