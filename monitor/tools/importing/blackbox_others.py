"""The probers of blackbox_exporter beside `http` as the kinds of the same purpose."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from monitor.tools.importing.blackbox_http import (
    draft_client,
    draft_headers,
    draft_ip,
    draft_tls,
    draft_value,
    hide_text,
)
from monitor.tools.importing.credentials import address_of, hide_url
from monitor.tools.importing.draft import escape

if TYPE_CHECKING:
    from monitor.tools.importing.draft import Draft
    from monitor.tools.importing.foreign import Part

_OF_GO: Final = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")
_BRACES: Final = re.compile(r"\{(\w+)\}")
_SECTIONS: Final = (
    ("validate_answer_rrs", "answer"),
    ("validate_authority_rrs", "authority"),
    ("validate_additional_rrs", "additional"),
)


def draft_tcp(part: Part, target: str, draft: Draft) -> dict[str, Any]:
    """Draft a port with its dialogue."""
    dialogue = _draft_dialogue(part, draft)
    address = target if target.startswith("unix:") else address_of(target)
    tcp: dict[str, Any] = {"address": address}
    terms = draft_tls(part.part("tls_config"))
    upgrades = any(step.get("starttls") for step in dialogue)
    if part.flag("tls") or (terms and upgrades):
        tcp["tls"] = terms or True
    if dialogue:
        tcp["dialogue"] = dialogue
    tcp |= draft_ip(part)
    part.leave("source_ip_address", "the system chooses where it comes from")
    part.end()

    return {"tcp": tcp}


def draft_unix(part: Part, target: str, draft: Draft) -> dict[str, Any]:
    """Draft a Unix socket with its dialogue."""
    path = target.removeprefix("unix:").removeprefix("//")

    return draft_tcp(part, f"unix:{path}", draft)


def draft_icmp(part: Part, target: str, _draft: Draft) -> dict[str, Any]:
    """Draft an echo request."""
    icmp: dict[str, Any] = {"host": address_of(target)}
    for key, ours in (("payload_size", "size"), ("ttl", "ttl")):
        if key in part:
            icmp[ours] = part.number(key)
    if part.flag("dont_fragment"):
        icmp["dont_fragment"] = True
    icmp |= draft_ip(part)
    part.leave("source_ip_address", "the system chooses where it comes from")
    part.end()

    return {"icmp": icmp}


def draft_dns(part: Part, target: str, _draft: Draft) -> dict[str, Any]:
    """Draft a question, and what is expected of the records."""
    dns: dict[str, Any] = {
        "server": address_of(target),
        "name": part.text("query_name"),
        "type": part.text("query_type", "ANY"),
    }
    if (named := part.text("query_class", "IN")) != "IN":
        dns["class"] = named
    over_tls = part.flag("dns_over_tls")
    transport = part.text("transport_protocol", "udp")
    if over_tls or transport != "udp":
        dns["transport"] = "tls" if over_tls else transport
    if not part.flag("recursion_desired", default=True):
        dns["recursion"] = False
    if terms := draft_tls(part.part("tls_config")):
        dns["tls"] = terms
    dns |= draft_ip(part)
    expect: list[dict[str, Any]] = []
    if codes := part.texts("valid_rcodes"):
        expect.append({"rcode": codes[0] if len(codes) == 1 else {"in": codes}})
    for key, section in _SECTIONS:
        expect += _draft_records(part.part(key), section)
    part.leave("source_ip_address", "the system chooses where it comes from")
    part.end()

    return {"dns": dns, "health": {"expect": expect}} if expect else {"dns": dns}


def draft_grpc(part: Part, target: str, draft: Draft) -> dict[str, Any]:
    """Draft a call of the health service."""
    grpc: dict[str, Any] = {"address": address_of(target)}
    if service := part.text("service"):
        grpc["service"] = service
    terms = draft_tls(part.part("tls_config"))
    if part.flag("tls"):
        grpc["tls"] = terms or True
    said = part.part("metadata")
    metadata = {
        key: [draft_value(said, key, key, one, draft) for one in said.one_or_more(key)]
        for key in said
    }
    if metadata:
        grpc["metadata"] = metadata
    grpc |= draft_ip(part)
    part.end()

    return {"grpc": grpc}


def draft_websocket(part: Part, target: str, draft: Draft) -> dict[str, Any]:
    """Draft a WebSocket with its dialogue."""
    url = hide_url(target, draft, part.where(), str(part.at[1]))
    websocket: dict[str, Any] = {"url": url}
    config = part.part("http_config")
    client = config.part("http_client_config")
    websocket |= draft_client(client, draft)
    client.drop("follow_redirects", "enable_http2")
    client.end()
    config.end()
    if headers := draft_headers(part, draft):
        websocket["headers"] = headers
    if dialogue := _draft_dialogue(part, draft, newline=""):
        websocket["dialogue"] = dialogue
    websocket |= draft_ip(part)
    part.end()

    return {"websocket": websocket}


def _draft_dialogue(part: Part, draft: Draft, *, newline: str = "\n") -> list[dict[str, Any]]:
    """Draft the steps of a dialogue; over a stream, a line break follows what is sent."""
    dialogue = []
    for step in part.parts("query_response"):
        drafted: dict[str, Any] = {}
        if expect := step.text("expect"):
            drafted["expect"] = escape(expect)
        if expected := step.text("expect_bytes"):
            drafted["expect_bytes"] = escape(expected)
        labels = {one.text("name"): _template(one.text("value")) for one in step.parts("labels")}
        if labels:
            drafted["labels"] = labels
        if send := step.text("send"):
            drafted["send"] = hide_text(step, "send", send, draft, _template) + newline
        if step.flag("starttls"):
            drafted["starttls"] = True
        step.end()
        dialogue.append(drafted)

    return dialogue


def _template(text: str) -> str:
    """Write a template of Go's regular expressions (`${1}`, `$name`) as one of ours (`{1}`)."""
    parts, end = [], 0
    for place in _OF_GO.finditer(text):
        parts.append(_literal(text[end : place.start()]))
        name = place[1] or place[2]
        parts.append(f"{{{name}}}" if name else "$")
        end = place.end()
    parts.append(_literal(text[end:]))

    return "".join(parts)


def _literal(text: str) -> str:
    return _BRACES.sub(r"{{\1}}", text)


def _draft_records(part: Part, section: str) -> list[dict[str, Any]]:
    """Draft what is expected of the records of a section.

    `fail_if_all_match_regexp` does the opposite of its name: it fails unless all match.
    """
    forms: tuple[tuple[str, Any], ...] = (
        ("fail_if_matches_regexp", lambda one: {"not_matches": one}),
        ("fail_if_all_match_regexp", lambda one: {"every": {"matches": one}}),
        ("fail_if_not_matches_regexp", lambda one: {"every": {"matches": one}}),
    )
    wanted = [form(escape(one)) for key, form in forms for one in part.texts(key)]
    if any_of := part.texts("fail_if_none_matches_regexp"):
        wanted.append({"matches": escape("|".join(f"(?:{one})" for one in any_of))})
    part.end()

    return [{"dns_records": {section: one}} for one in wanted]
