"""What several kinds take of a configuration: families of addresses, and DNS servers."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from monitor.probes._net.options import (
    IpChoice,
    IpChoiceName,
    Nameserver,
    NameserverText,
    read_nameserver,
)

CHOICES: TypeAdapter[IpChoice] = TypeAdapter(IpChoiceName)


@pytest.mark.parametrize(
    ("written", "choice"),
    [
        ("any", IpChoice.ANY),
        (4, IpChoice.ONLY_4),
        ("4", IpChoice.ONLY_4),
        (6, IpChoice.ONLY_6),
        ("prefer-4", IpChoice.PREFER_4),
        (IpChoice.PREFER_6, IpChoice.PREFER_6),
    ],
)
def test_a_family_is_a_number_or_a_word(written: object, choice: IpChoice) -> None:
    assert CHOICES.validate_python(written) is choice


@pytest.mark.parametrize("written", [5, 4.0, True, None, "ipv4", "prefer-5", [4]])
def test_what_is_no_family_is_refused(written: object) -> None:
    with pytest.raises(ValidationError, match="expected one of any, 4, 6, prefer-4, prefer-6"):
        CHOICES.validate_python(written)


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("192.0.2.53", "192.0.2.53", 53, "192.0.2.53"),
        ("192.0.2.53:5353", "192.0.2.53", 5353, "192.0.2.53:5353"),
        ("ns_1.example", "ns_1.example", 53, "ns_1.example"),
        ("ns.example:53", "ns.example", 53, "ns.example"),
        ("2001:db8::53", "2001:db8::53", 53, "2001:db8::53"),
        ("[2001:db8::53]", "2001:db8::53", 53, "2001:db8::53"),
        ("[2001:db8::53]:54", "2001:db8::53", 54, "[2001:db8::53]:54"),
        ("fe80::1%eth0", "fe80::1%eth0", 53, "fe80::1%eth0"),
    ],
)
def test_a_dns_server_is_read_with_or_without_a_port(
    text: str, host: str, port: int, shown: str
) -> None:
    server = read_nameserver(text)

    assert server == Nameserver(host=host, port=port)
    assert str(server) == shown
    assert read_nameserver(server) is server
    assert TypeAdapter[Nameserver](NameserverText).dump_json(server) == f'"{shown}"'.encode()


@pytest.mark.parametrize(
    "text", ["", "a b", "a:", "a:b", ":53", "http://ns.example", "[::1", "[zz]:1", "a/b", 53, None]
)
def test_what_is_no_dns_server_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"expected a DNS server such as 192\.0\.2\.53"):
        read_nameserver(text)


@pytest.mark.parametrize("port", [0, 65_536])
def test_a_port_has_to_be_one(port: int) -> None:
    with pytest.raises(ValueError, match=f"expected a port of 1 to 65535, found {port}"):
        read_nameserver(f"192.0.2.53:{port}")
