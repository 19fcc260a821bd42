"""What an endpoint of Gatus asks, by the scheme of its URL, as one of our kinds of probes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from monitor.tools.importing.draft import Draft
    from monitor.tools.importing.foreign import Part

_VARIABLE: Final = re.compile(r"\$(?:\$|\{(\w+)\}|([A-Za-z_]\w*))")
_UNSPOKEN: Final = {
    "udp": "nothing is sent over bare UDP",
    "sctp": "SCTP is not spoken",
    "domain": "the expiry of domains is not looked up",
}
_CREDENTIALS: Final = frozenset({"authorization", "cookie", "x-api-key"})


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
            return _draft_grpc(client, scheme, url)
        case _:
            return _draft_http(part, client, url, draft)


def _draft_http(part: Part, client: Part, url: str, draft: Draft) -> dict[str, Any]:
    request: dict[str, Any] = {}
    if (method := part.text("method", "GET")) != "GET":
        request["method"] = method
    if headers := _draft_headers(part, draft):
        request["headers"] = headers
    body = expand(part.text("body"))
    if part.flag("graphql"):
        request["json"] = {"query": body}
    elif body:
        request["body"] = body
    if client.flag("ignore-redirect"):
        request["follow_redirects"] = False
    request |= _draft_client(client, draft)

    return {"url": url, "request": request} if request else {"url": url}


def _draft_client(client: Part, draft: Draft) -> dict[str, Any]:
    drafted: dict[str, Any] = {}
    if tls := _draft_tls(client):
        drafted["tls"] = tls
    if resolver := client.text("dns-resolver"):
        drafted["resolver"] = resolver.partition("://")[2] or resolver
    if proxy := client.text("proxy-url"):
        drafted["proxy"] = expand(proxy)
    if "oauth2" in client:
        oauth2 = client.part("oauth2")
        secret = expand(oauth2.text("client-secret"))
        if not secret.startswith("${"):
            secret = draft.secret(oauth2.where("client-secret"), "oauth2", "client_secret")
        drafted["auth"] = {
            "oauth2": {
                "token_url": expand(oauth2.text("token-url")),
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


def _draft_headers(part: Part, draft: Draft) -> dict[str, str]:
    headers = {}
    for name, value in part.take("headers", {}).items():
        written = expand(str(value))
        if name.lower() in _CREDENTIALS and "${" not in written:
            written = draft.secret(part.where("headers"), str(part.take("name", "")), name)
        headers[str(name)] = written

    return headers


def _draft_dns(dns: Part, url: str) -> dict[str, Any]:
    server = url.partition("://")[2] or url
    drafted = {
        "server": server,
        "name": dns.text("query-name"),
        "type": dns.text("query-type", "A"),
    }
    dns.end()

    return {"dns": drafted}


def _draft_icmp(client: Part, url: str) -> dict[str, Any]:
    icmp: dict[str, Any] = {"host": url.partition("://")[2].rstrip("/")}
    if (network := client.text("network", "ip")) != "ip":
        icmp["ip"] = network.removeprefix("ip")
    client.drop("timeout", "insecure")
    client.end()

    return {"icmp": icmp}


def _draft_port(
    part: Part, client: Part, scheme: str, url: str, draft: Draft
) -> dict[str, Any] | None:
    parts = urlsplit(url)
    port = parts.port or {"ssh": 22}.get(scheme)
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
    websocket: dict[str, Any] = {"url": url}
    if headers := _draft_headers(part, draft):
        websocket["headers"] = headers
    if body := part.text("body"):
        websocket["dialogue"] = [{"send": expand(body)}, {"expect": "."}]
    if terms := _draft_tls(client):
        websocket["tls"] = terms
    client.drop("timeout")
    client.end()

    return {"websocket": websocket}


def _draft_grpc(client: Part, scheme: str, url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    grpc: dict[str, Any] = {"address": parts.netloc}
    if service := parts.path.strip("/"):
        grpc["service"] = service
    terms = _draft_tls(client)
    if scheme == "grpcs":
        grpc["tls"] = terms or True
    client.drop("timeout")
    client.end()

    return {"grpc": grpc}
