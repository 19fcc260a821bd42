"""The prober `http` of blackbox_exporter as the kind `url`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from monitor.tools.importing.credentials import hide_url, hides, looks_secret
from monitor.tools.importing.draft import escape

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.tools.importing.draft import Draft
    from monitor.tools.importing.foreign import Part

_ANYTHING: Final = frozenset({".*", ".+", "^.*$", "^.+$", ""})
_WHO_WE_ARE: Final = ("basic_auth", "authorization", "bearer_token", "bearer_token_file", "oauth2")
_VERSIONS: Final = {"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2.0": "2"}


def draft_http(part: Part, target: str, draft: Draft) -> dict[str, Any]:
    """Draft an endpoint that asks as the module does and expects what it expects."""
    request = _draft_request(part, draft)
    expect = _draft_expectations(part)
    url = target if "://" in target else f"http://{target}"
    endpoint: dict[str, Any] = {"url": hide_url(url, draft, part.where(), str(part.at[1]))}
    if request:
        endpoint["request"] = request
    if expect:
        endpoint["health"] = {"expect": expect}
    part.drop("skip_resolve_phase_with_proxy", "enable_http2")
    if part.flag("enable_http3"):
        part.leave("enable_http3", "HTTP/3 is not spoken")
    part.end()

    return endpoint


def draft_tls(part: Part) -> dict[str, Any]:
    """Draft the terms of TLS from a `tls_config`."""
    terms: dict[str, Any] = {}
    if part.flag("insecure_skip_verify"):
        terms["verify"] = False
    for key in ("ca_file", "cert_file", "key_file", "server_name", "min_version", "max_version"):
        if value := part.text(key):
            terms[key] = value
    part.end()

    return terms


def draft_ip(part: Part) -> dict[str, Any]:
    """Draft the choice of an IP family: nothing where the module does not speak of it."""
    preferred = part.text("preferred_ip_protocol")
    falls_back = part.flag("ip_protocol_fallback", default=True)
    if not preferred:
        return {}

    family = "4" if preferred == "ip4" else "6"

    return {"ip": f"prefer-{family}" if falls_back else family}


def draft_client(part: Part, draft: Draft) -> dict[str, Any]:
    """Draft what Prometheus calls an HTTP client: TLS, credentials, proxy."""
    request: dict[str, Any] = {}
    if tls := draft_tls(part.part("tls_config")):
        request["tls"] = tls
    if auth := _draft_auth(part, draft):
        request["auth"] = auth
    if proxy := part.text("proxy_url"):
        where = part.where("proxy_url")
        request["proxy"] = hide_url(proxy, draft, where, str(part.at[1]), "proxy")
    if part.flag("proxy_from_environment"):
        part.leave("proxy_from_environment", "proxies are named in the configuration alone")

    return request


def draft_headers(part: Part, draft: Draft) -> dict[str, str]:
    """Draft header lines; of several values of one name the first."""
    headers = {
        name: draft_value(part, "headers", name, value, draft)
        for name, value in part.pairs("headers").items()
    }
    for name, spec in part.part("http_headers").named():
        values, secrets, files = spec.texts("values"), spec.texts("secrets"), spec.texts("files")
        if values:
            headers[name] = draft_value(spec, "values", name, values[0], draft)
        elif secrets:
            where = spec.where("secrets")
            headers[name] = draft.secret(where, secrets[0], str(part.at[1]), name)
        elif files:
            headers[name] = f"${{file:{files[0]}}}"
        if len(values) + len(secrets) + len(files) > 1:
            draft.leave(spec.where(), "a header is sent once: its first value is taken")
        spec.end()

    return headers


def _draft_request(part: Part, draft: Draft) -> dict[str, Any]:
    request: dict[str, Any] = {}
    if (method := part.text("method", "GET")) != "GET":
        request["method"] = method
    headers = draft_headers(part, draft)
    if headers:
        request["headers"] = headers
    if body := part.text("body"):
        request["body"] = hide_text(part, "body", body, draft, escape)
    if file := part.text("body_file"):
        request["body_file"] = file
    no_follow = part.flag("no_follow_redirects")
    if not part.flag("follow_redirects", default=True) or no_follow:
        request["follow_redirects"] = False
    if compression := part.text("compression"):
        request["compression"] = compression
    if limit := part.text("body_size_limit"):
        request["body_limit"] = _size(limit)

    if any(name.lower() == "authorization" for name in headers):
        for key in _WHO_WE_ARE:
            part.leave(key, "the header Authorization counts, as it does there")

    return request | draft_client(part, draft) | draft_ip(part)


def _draft_auth(part: Part, draft: Draft) -> dict[str, Any]:
    if "basic_auth" in part:
        basic = part.part("basic_auth")
        user = basic.text("username")
        if file := basic.text("username_file"):
            user = f"${{file:{file}}}"
        password = _secret(basic, "password", draft)
        basic.end()
        return {"basic": {"username": escape(user) if not file else user, "password": password}}

    if "authorization" in part:
        said = part.part("authorization")
        kind, value = said.text("type", "Bearer"), _secret(said, "credentials", draft)
        said.end()
        if kind.lower() == "bearer":
            return {"bearer": value}
        draft.leave(said.where(), f"write it as a header: Authorization: {kind} {value}")
        return {}

    if "bearer_token" in part or "bearer_token_file" in part:
        return {"bearer": _secret(part, "bearer_token", draft)}

    if "oauth2" in part:
        return {"oauth2": _draft_oauth2(part.part("oauth2"), draft)}

    return {}


def _draft_oauth2(part: Part, draft: Draft) -> dict[str, Any]:
    drafted: dict[str, Any] = {
        "token_url": hide_url(
            part.text("token_url"), draft, part.where("token_url"), str(part.at[1]), "token_url"
        ),
        "client_id": escape(part.text("client_id")),
        "client_secret": _secret(part, "client_secret", draft),
    }
    if scopes := part.texts("scopes"):
        drafted["scopes"] = scopes
    if params := part.pairs("endpoint_params"):
        drafted["endpoint_params"] = {
            name: draft_value(part, "endpoint_params", name, value, draft)
            for name, value in params.items()
        }
    part.end()

    return drafted


def _secret(part: Part, key: str, draft: Draft) -> str:
    """Give the file in which a secret is, or a variable in its place."""
    if file := part.text(f"{key}_file"):
        return f"${{file:{file}}}"

    return draft.secret(part.where(key), part.text(key), str(part.at[1]), key)


def draft_value(part: Part, key: str, name: str, value: str, draft: Draft) -> str:
    """Give the value of a header or the like, or a variable where it is a credential."""
    if hides(name, value):
        return draft.secret(part.where(key), value, str(part.at[1]), name)

    return escape(value)


def hide_text(part: Part, key: str, text: str, draft: Draft, write: Callable[[str], str]) -> str:
    """Write a text that is sent, or a variable where it leads to a credential."""
    if looks_secret(text):
        return draft.secret(part.where(key), text, str(part.at[1]), key)

    return write(text)


def _size(text: str) -> str:
    """Write a size as we have it; theirs counts by 1024, also in KB and MB."""
    if text.isdigit():
        return f"{text}B"

    return re.sub(r"(?<=[KMG])B$", "iB", text)


def _draft_expectations(part: Part) -> list[dict[str, Any]]:
    expect: list[dict[str, Any]] = []
    if codes := part.numbers("valid_status_codes"):
        expect.append({"status": codes[0] if len(codes) == 1 else {"in": codes}})
    expect += _draft_version(part)
    for key, operator in (
        ("fail_if_body_matches_regexp", "not_matches"),
        ("fail_if_body_not_matches_regexp", "matches"),
    ):
        expect += [{"body": {operator: escape(one)}} for one in part.texts(key)]
    expect += _draft_header_rules(part, "fail_if_header_matches", "not_matches")
    expect += _draft_header_rules(part, "fail_if_header_not_matches", "matches")
    if part.flag("fail_if_ssl"):
        expect.append({"redirect": {"to": {"starts_with": "http://"}}})
    if part.flag("fail_if_not_ssl"):
        expect.append({"redirect": {"to": {"starts_with": "https://"}}})
    if limit := part.text("body_size_limit"):
        expect.append({"response_size": {"lte": _size(limit)}})
    for key in ("fail_if_body_json_matches_cel", "fail_if_body_json_not_matches_cel"):
        part.leave(
            key,
            "is code, which is not run: write what is healthy, as in {json: $.status, equals: ok}",
        )

    return expect


def _draft_version(part: Part) -> list[dict[str, Any]]:
    wanted = [_VERSIONS.get(one, "") for one in part.texts("valid_http_versions")]
    spoken = [one for one in wanted if one in ("1.0", "1.1")]
    if not wanted:
        return []
    if not spoken:
        part.leave("valid_http_versions", "HTTP/1.1 is spoken, and nothing newer")
        return []

    return [{"http_version": {"in": spoken}}]


def _draft_header_rules(part: Part, key: str, operator: str) -> list[dict[str, Any]]:
    rules = []
    for rule in part.parts(key):
        header, pattern = rule.text("header"), rule.text("regexp")
        may_be_missing = rule.flag("allow_missing")
        rule.end()
        if operator == "not_matches" and may_be_missing and pattern in _ANYTHING:
            rules.append({"header": header, "exists": False})
            continue
        drafted: dict[str, Any] = {"header": header, operator: escape(pattern)}
        if may_be_missing:
            drafted["optional"] = True
        rules.append(drafted)

    return rules
