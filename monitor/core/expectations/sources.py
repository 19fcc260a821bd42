"""The table of sources: what each tells, how that is read, and what it can be compared with.

A new source is a name in `Source` and one entry here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.facet import (
    ABOUT_NODES,
    ABOUT_TEXT,
    ABOUT_VALUES,
    COMPARING,
    COUNTING,
    SAME,
    Facet,
    Named,
    Operand,
)
from monitor.core.expectations.json_body import Node, select
from monitor.core.expectations.naming import read_header_name, read_path, read_schema, read_selector
from monitor.core.expectations.operands import (
    read_duration,
    read_http_version,
    read_json,
    read_number,
    read_size,
    read_status,
    read_status_code,
    read_string,
    read_whole,
    status_test,
)
from monitor.core.expectations.record import Kind, Operator, Source
from monitor.core.expectations.rows import find_rows, like_json
from monitor.core.expectations.shown import Bytes
from monitor.options import DURATION_PATTERN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.expectations.evidence import Evidence
    from monitor.core.expectations.facet import Read

_CODE: Final = {"type": "integer", "minimum": 100, "maximum": 599}

TEXT: Final = Operand(read=read_string, shape={"type": "string"})
NUMBER: Final = Operand(read=read_number, shape={"type": "number"})
WHOLE: Final = Operand(read=read_whole, shape={"type": "integer"})
ANYTHING: Final = Operand(read=read_json, shape={})
DURATION: Final = Operand(read=read_duration, shape={"type": "string", "pattern": DURATION_PATTERN})
SIZE: Final = Operand(
    read=read_size,
    shape={
        "anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(B|kB|KB|KiB|MB|MiB|GB|GiB)$"},
        ]
    },
)
STATUS: Final = Operand(
    read=read_status,
    shape={"anyOf": [_CODE, {"type": "string", "pattern": "^[1-5]xx$"}]},
    test=status_test,
    kinds=frozenset({Kind.NUMBER}),
)
STATUS_CODE: Final = Operand(read=read_status_code, shape=_CODE)
HTTP_VERSION: Final = Operand(
    read=read_http_version, shape={"enum": ["1.0", "1.1", "2", 1.0, 1.1, 2]}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One source: an example, and the facet that it is, or those that are below it by their name.

    With `named`, a name stands behind the source and the operators beside it.
    """

    example: str
    facet: Facet | None = None
    facets: Mapping[str, Facet] = field(default_factory=lambda: MappingProxyType({}))
    named: Named | None = None


def _maybe(value: object) -> Sequence[object]:
    return () if value is None else (value,)


def fact(name: str) -> Read:
    """Read one of the values that a kind of probe names: text, number, true, false or null."""

    def read(evidence: Evidence, _: object) -> Sequence[object]:
        values = evidence.observation.values
        return (like_json(values[name]),) if name in values else ()

    return read


def facts(name: str) -> Read:
    """Read a list of values that a kind of probe names, as so many values."""

    def read(evidence: Evidence, _: object) -> Sequence[object]:
        found = evidence.observation.values.get(name)
        values = found if isinstance(found, list | tuple) else ()
        return [Node(location="", value=like_json(value)) for value in values]

    return read


def _lines_of(section: str) -> Read:
    """Read the records of a section of a DNS message, a line each; none is one empty line."""

    def read(evidence: Evidence, _: object) -> Sequence[object]:
        sections = evidence.observation.values.get("dns_records")
        if not isinstance(sections, Mapping):
            return ()
        lines = sections.get(section)
        return list(map(str, lines)) if isinstance(lines, list | tuple) and lines else [""]

    return read


def _time_left(evidence: Evidence, _: object) -> Sequence[object]:
    certificate = evidence.observation.certificate
    if certificate is None:
        return ()

    return (certificate.earliest_not_after - evidence.observation.at,)


def _of_certificate(attribute: str) -> Read:
    def read(evidence: Evidence, _: object) -> Sequence[object]:
        certificate = evidence.observation.certificate
        found = None if certificate is None else getattr(certificate, attribute)
        return found if isinstance(found, tuple) else _maybe(found)

    return read


def _find_elements(evidence: Evidence, selector: str) -> Sequence[object]:
    from monitor.core.expectations.html_body import select_elements

    return select_elements(selector, evidence.html())


def _records_of(section: str) -> Facet:
    return Facet(
        name=f"dns_records {section}",
        words=f"{section} section",
        read=_lines_of(section),
        operators=(*ABOUT_TEXT, Operator.EVERY, Operator.ANY),
        literal=TEXT,
        cuttable=True,
    )


def _texts_told(name: str, words: str, *, cuttable: bool = False) -> Facet:
    return Facet(
        name=name,
        words=words,
        read=facts(name),
        operators=(*ABOUT_TEXT, *ABOUT_NODES),
        literal=TEXT,
        cuttable=cuttable,
    )


def _text_of_certificate(name: str, words: str, attribute: str) -> Facet:
    return Facet(
        name=f"certificate {name}",
        words=words,
        read=_of_certificate(attribute),
        operators=(*ABOUT_TEXT, *ABOUT_NODES),
        literal=TEXT,
        plain=True,
    )


SOURCES: Final[Mapping[Source, Entry]] = {
    Source.STATUS: Entry(
        example="{status: 200}",
        facet=Facet(
            name="status",
            words="status",
            read=lambda evidence, _: _maybe(evidence.observation.status),
            operators=COUNTING,
            literal=STATUS,
            ordered=STATUS_CODE,
            plain=True,
        ),
    ),
    Source.HEADER: Entry(
        example="{header: content-type, contains: json}",
        named=Named(read=read_header_name, described="The name of a header, in any case."),
        facet=Facet(
            name="header",
            words="header",
            read=lambda evidence, name: evidence.observation.header(name),
            operators=(*ABOUT_TEXT, *ABOUT_NODES),
            literal=TEXT,
        ),
    ),
    Source.BODY: Entry(
        example="{body: {contains: ok}}",
        facet=Facet(
            name="body",
            words="body",
            read=lambda evidence, _: (evidence.text,),
            operators=ABOUT_TEXT,
            literal=TEXT,
            cuttable=True,
        ),
    ),
    Source.JSON: Entry(
        example="{json: $.status, equals: ok}",
        named=Named(read=read_path, described="An RFC 9535 JSONPath."),
        facet=Facet(
            name="json",
            words="json",
            read=lambda evidence, path: select(path, evidence.json()),
            operators=(*ABOUT_VALUES, *ABOUT_NODES),
            literal=ANYTHING,
            ordered=NUMBER,
            anything=True,
        ),
    ),
    Source.JSON_SCHEMA: Entry(
        example="{json_schema: schemas/health.json}",
        named=Named(
            read=read_schema,
            described="The file of a JSON Schema, beside the configuration file that names it.",
            alone=True,
        ),
        facet=Facet(
            name="json_schema",
            words="json_schema",
            read=lambda evidence, _: (evidence.json(),),
            operators=(),
            literal=ANYTHING,
        ),
    ),
    Source.HTML: Entry(
        example="{html: main > h1, equals: Welcome}",
        named=Named(read=read_selector, described="A CSS selector."),
        facet=Facet(
            name="html",
            words="html",
            read=_find_elements,
            operators=(*ABOUT_TEXT, *ABOUT_NODES),
            literal=TEXT,
            cuttable=True,
        ),
    ),
    Source.RESPONSE_TIME: Entry(
        example="{response_time: {lt: 3s}}",
        facet=Facet(
            name="response_time",
            words="response time",
            read=lambda evidence, _: (evidence.observation.duration,),
            operators=COMPARING,
            literal=DURATION,
            ordered=DURATION,
        ),
    ),
    Source.RESPONSE_SIZE: Entry(
        example="{response_size: {lt: 512KiB}}",
        facet=Facet(
            name="response_size",
            words="response size",
            read=lambda evidence, _: (Bytes(len(evidence.observation.body)),),
            operators=COUNTING,
            literal=SIZE,
            ordered=SIZE,
            cuttable=True,
            grows=True,
        ),
    ),
    Source.REDIRECT: Entry(
        example="{redirect: {to: https://shop.example/, hops: {lte: 2}}}",
        facets={
            "to": Facet(
                name="redirect to",
                words="final URL",
                read=lambda evidence, _: (evidence.observation.url,),
                operators=ABOUT_TEXT,
                literal=TEXT,
                plain=True,
            ),
            "hops": Facet(
                name="redirect hops",
                words="number of redirects",
                read=lambda evidence, _: (len(evidence.observation.redirects),),
                operators=COUNTING,
                literal=WHOLE,
                ordered=WHOLE,
                plain=True,
            ),
        },
    ),
    Source.CERTIFICATE: Entry(
        example="{certificate: {expires_in: {gt: 14d}}}",
        facets={
            "expires_in": Facet(
                name="certificate expires_in",
                words="time until the certificate expires",
                read=_time_left,
                operators=COMPARING,
                literal=DURATION,
                ordered=DURATION,
            ),
            "issuer": _text_of_certificate("issuer", "issuer of the certificate", "issuer"),
            "subject": _text_of_certificate("subject", "subject of the certificate", "subject"),
            "names": _text_of_certificate(
                "names", "names in the certificate", "subject_alternative_names"
            ),
            "serial_number": _text_of_certificate(
                "serial_number", "serial number of the certificate", "serial_number"
            ),
            "fingerprint": _text_of_certificate(
                "fingerprint", "SHA-256 fingerprint of the certificate", "fingerprint_sha256"
            ),
        },
    ),
    Source.HTTP_VERSION: Entry(
        example='{http_version: "1.1"}',
        facet=Facet(
            name="http_version",
            words="HTTP version",
            read=lambda evidence, _: _maybe(evidence.observation.http_version),
            operators=SAME,
            literal=HTTP_VERSION,
            plain=True,
        ),
    ),
    Source.VALUE: Entry(
        example="{value: {lt: 10}}",
        facet=Facet(
            name="value",
            words="value",
            read=fact("value"),
            operators=(*ABOUT_VALUES, Operator.EXISTS),
            literal=ANYTHING,
            ordered=NUMBER,
            anything=True,
            plain=True,
        ),
    ),
    Source.ROWS: Entry(
        example="{rows: {every: {column: failed, lt: 10}}}",
        facet=Facet(
            name="rows",
            words="rows",
            read=find_rows,
            operators=(*ABOUT_VALUES, *ABOUT_NODES),
            literal=ANYTHING,
            ordered=NUMBER,
            anything=True,
            columns=True,
        ),
    ),
    Source.DNS_ANSWER: Entry(
        example="{dns_answer: {any: {equals: 192.0.2.1}}}",
        facet=_texts_told("dns_answer", "DNS answer", cuttable=True),
    ),
    Source.DNS_RECORDS: Entry(
        example=r"{dns_records: {answer: {matches: '\tIN\tMX\t10 '}}}",
        facets={name: _records_of(name) for name in ("answer", "authority", "additional")},
    ),
    Source.DNS_FLAGS: Entry(
        example="{dns_flags: {any: {equals: aa}}}",
        facet=_texts_told("dns_flags", "DNS flags"),
    ),
    Source.RCODE: Entry(
        example="{rcode: NOERROR}",
        facet=Facet(
            name="rcode",
            words="rcode",
            read=fact("rcode"),
            operators=SAME,
            literal=TEXT,
            plain=True,
        ),
    ),
    Source.EXIT_CODE: Entry(
        example="{exit_code: 0}",
        facet=Facet(
            name="exit_code",
            words="exit code",
            read=fact("exit_code"),
            operators=COUNTING,
            literal=WHOLE,
            ordered=WHOLE,
            plain=True,
        ),
    ),
    Source.OUTPUT: Entry(
        example="{output: {contains: ok}}",
        facet=Facet(
            name="output",
            words="output",
            read=fact("output"),
            operators=ABOUT_TEXT,
            literal=TEXT,
            cuttable=True,
        ),
    ),
    Source.CONSOLE_ERRORS: Entry(
        example="{console_errors: {count: 0}}",
        facet=_texts_told("console_errors", "console errors"),
    ),
    Source.FAILED_REQUESTS: Entry(
        example="{failed_requests: {count: 0}}",
        facet=_texts_told("failed_requests", "failed requests"),
    ),
}
HTTP_SOURCES: Final = frozenset(
    {
        Source.STATUS,
        Source.HEADER,
        Source.BODY,
        Source.JSON,
        Source.JSON_SCHEMA,
        Source.HTML,
        Source.RESPONSE_TIME,
        Source.RESPONSE_SIZE,
        Source.REDIRECT,
        Source.CERTIFICATE,
        Source.HTTP_VERSION,
    }
)
"""What an answer over HTTP tells."""
