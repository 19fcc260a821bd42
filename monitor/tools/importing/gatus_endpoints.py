"""What an endpoint of Gatus asks, by the scheme of its URL, as one of our kinds of probes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from monitor.tools.importing.credentials import (
    address_of,
    hide_url,
    hides,
    is_variable,
    looks_secret,
    without_variables,
)
from monitor.tools.importing.foreign import Unusable

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from monitor.tools.importing.draft import Draft
    from monitor.tools.importing.foreign import Part

_VARIABLE: Final = re.compile(r"\$(?:\$|\{(\w+)\}|([A-Za-z_]\w*))")
_UNSPOKEN: Final = {
    "udp": "nothing is sent over bare UDP",
    "sctp": "SCTP is not spoken",
    "domain": "the expiry of domains is not looked up",
}


def expand(text: str) -> str:
    """Write the variables of a text as ours: `$NAME` as `${NAME}`, `$$` as a dollar."""
    return _VARIABLE.sub(
        lambda found: "$" if found[0] == "$$" else f"${{{found[1] or found[2]}}}", text
    )


def draft_target(part: Part, draft: Draft) -> dict[str, Any] | None:
    """Draft what is asked; the first key is the kind. None where there is no such kind here."""
    url = expand(part.text("url"))
    client = part.part("client")
    for key in ("identity-aware-proxy", "tunnel"):
        client.leave(key, "has no counterpart")
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if "dns" in part:
        return _draft_dns(part.part("dns"), url)
    if scheme in _UNSPOKEN:
        draft.leave(part.where("url"), f"{_UNSPOKEN[scheme]}: the endpoint is left out")
        return None

    match scheme:
        case "icmp":
            return _draft_icmp(client, url)
        case "tcp" | "tls" | "starttls" | "ssh":
            return _draft_port(part, client, scheme, url, draft)
        case "ws" | "wss":
            return _draft_websocket(part, client, url, draft)
        case "grpc" | "grpcs":
            return _draft_grpc(part, client, scheme, url)
        case _:
            return _draft_http(part, client, url, draft)


def _draft_http(part: Part, client: Part, url: str, draft: Draft) -> dict[str, Any]:
    request: dict[str, Any] = {}
    if (method := part.text("method", "GET")) != "GET":
        request["method"] = method
    if headers := draft_headers(part, draft):
        request["headers"] = headers
    body = expand(part.text("body"))
    if part.flag("graphql"):
        request["json"] = {"query": _hide_text(part, "body", body, draft)}
    elif body:
        request["body"] = _hide_text(part, "body", body, draft)
    if client.flag("ignore-redirect"):
        request["follow_redirects"] = False
    request |= _draft_client(client, draft)

    shown = _hide_url(part, "url", url, draft)

    return {"url": shown, "request": request} if request else {"url": shown}


def _draft_client(client: Part, draft: Draft) -> dict[str, Any]:
    drafted: dict[str, Any] = {}
    if tls := _draft_tls(client):
        drafted["tls"] = tls
    if resolver := client.text("dns-resolver"):
        drafted["resolver"] = resolver.partition("://")[2] or resolver
    if proxy := client.text("proxy-url"):
        drafted["proxy"] = _hide_url(client, "proxy-url", expand(proxy), draft, "proxy")
    if "oauth2" in client:
        oauth2 = client.part("oauth2")
        secret = expand(oauth2.text("client-secret"))
        if not is_variable(secret):
            secret = draft.secret(oauth2.where("client-secret"), secret, "oauth2", "client_secret")
        token_url = expand(oauth2.text("token-url"))
        drafted["auth"] = {
            "oauth2": {
                "token_url": _hide_url(oauth2, "token-url", token_url, draft, "token_url"),
                "client_id": expand(oauth2.text("client-id")),
                "client_secret": secret,
                "scopes": oauth2.texts("scopes"),
            }
        }
        oauth2.end()
    client.drop("timeout", "network")
    client.end()

    return drafted


def _draft_tls(client: Part) -> dict[str, Any]:
    terms: dict[str, Any] = {}
    if client.flag("insecure"):
        terms["verify"] = False
    tls = client.part("tls")
    for key, ours in (("certificate-file", "cert_file"), ("private-key-file", "key_file")):
        if value := tls.text(key):
            terms[ours] = expand(value)
    tls.leave("renegotiation", "TLS is not renegotiated")
    tls.end()

    return terms


def draft_headers(part: Part, draft: Draft) -> dict[str, str]:
    """Draft header lines, with a variable for each value that is a credential."""
    headers = {}
    for name, value in part.pairs("headers").items():
        written = expand(value)
        if hides(name, without_variables(written)):
            written = draft.secret(part.where("headers"), value, _owner(part), name)
        headers[name] = written

    return headers


def _hide_text(part: Part, key: str, text: str, draft: Draft) -> str:
    """Give a text that is sent, or a variable where it leads to a credential."""
    if looks_secret(without_variables(text)):
        return draft.secret(part.where(key), text, _owner(part), key)

    return text


def _hide_url(part: Part, key: str, url: str, draft: Draft, *words: str) -> str:
    return hide_url(url, draft, part.where(key), _owner(part), *words, write=str)


def _owner(part: Part) -> str:
    """Give the name of an endpoint, or of a receiver; else where the part stands."""
    name = part.text("name") if "name" in part else ""

    return name or "-".join(str(step) for step in part.at[1:]) or "gatus"


def _split(part: Part, url: str) -> tuple[SplitResult, int | None]:
    """Take a URL apart; raises Unusable."""
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError as error:
        raise Unusable(f"{part.where('url')}: expected a URL, found what is none") from error


def _draft_dns(dns: Part, url: str) -> dict[str, Any]:
    drafted = {
        "server": address_of(url),
        "name": dns.text("query-name"),
        "type": dns.text("query-type", "A"),
    }
    dns.end()

    return {"dns": drafted}


def _draft_icmp(client: Part, url: str) -> dict[str, Any]:
    icmp: dict[str, Any] = {"host": address_of(url).rstrip("/")}
    if (network := client.text("network", "ip")) != "ip":
        icmp["ip"] = network.removeprefix("ip")
    client.drop("timeout", "insecure")
    client.end()

    return {"icmp": icmp}


def _draft_port(
    part: Part, client: Part, scheme: str, url: str, draft: Draft
) -> dict[str, Any] | None:
    parts, port = _split(part, url)
    port = port or {"ssh": 22}.get(scheme)
    if port is None:
        draft.leave(part.where("url"), "expected a port: the endpoint is left out")
        return None

    host = parts.hostname or ""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    terms = _draft_tls(client)
    client.drop("timeout", "network", "ignore-redirect")
    client.end()
    part.leave("body", "write it as a dialogue: steps of send and expect")
    match scheme:
        case "tls":
            return {"tcp": {"address": address, "tls": terms or True}}
        case "starttls":
            tcp: dict[str, Any] = {"address": address, "starttls": "smtp"}
            return {"tcp": {**tcp, "tls": terms} if terms else tcp}
        case "ssh":
            part.leave("ssh", "nobody logs in: the banner alone is looked at")
            return {"tcp": {"address": address, "dialogue": [{"expect": "^SSH-"}]}}
        case _:
            return {"tcp": {"address": address}}


def _draft_websocket(part: Part, client: Part, url: str, draft: Draft) -> dict[str, Any]:
    websocket: dict[str, Any] = {"url": _hide_url(part, "url", url, draft)}
    if headers := draft_headers(part, draft):
        websocket["headers"] = headers
    if body := part.text("body"):
        websocket["dialogue"] = [
            {"send": _hide_text(part, "body", expand(body), draft)},
            {"expect": "."},
        ]
    if terms := _draft_tls(client):
        websocket["tls"] = terms
    client.drop("timeout")
    client.end()

    return {"websocket": websocket}


def _draft_grpc(part: Part, client: Part, scheme: str, url: str) -> dict[str, Any]:
    parts, _ = _split(part, url)
    grpc: dict[str, Any] = {"address": parts.netloc.rpartition("@")[2]}
    if service := parts.path.strip("/"):
        grpc["service"] = service
    terms = _draft_tls(client)
    if scheme == "grpcs":
        grpc["tls"] = terms or True
    client.drop("timeout")
    client.end()

    return {"grpc": grpc}
