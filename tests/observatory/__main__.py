"""Judges random sites by the real Observatory and by us: `python -m tests.observatory PACKAGE`.

PACKAGE is the folder of `@mdn/mdn-http-observatory` 1.4.8, put there by `npm install
--ignore-scripts`, with `{}` in its `conf/hsts-preload.json`. A second argument says how many sites
are made up (2,000 take about a minute), a third with which seed.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import trustme

from monitor.core.headers import Policy
from tests.support.observatory import ask_observatory, judge_site
from tests.support.random_sites import make_site

if TYPE_CHECKING:
    from monitor.core.headers import PolicyResult
    from tests.support.observatory import Site

_ODD_AGES: Final = ("abc", '"', "-5", " = ", "max-age;", "max-age ;")
"""Ages that the Observatory reads in its own way: what is not a number passes there."""


def main(package: str, count: int = 2000, seed: int | None = None) -> bool:
    """Compare; says whether all is alike but for what differs on purpose."""
    seed = Random().randrange(1_000_000) if seed is None else seed
    source = Random(seed)
    sites = [make_site(source) for _ in range(count)]
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    with TemporaryDirectory() as folder:
        site_file, authority_file = Path(folder, "site.pem"), Path(folder, "ca.pem")
        certificate.private_key_and_cert_chain_pem.write_to_path(str(site_file))
        authority.cert_pem.write_to_path(str(authority_file))
        verdicts = ask_observatory(
            Path(package),
            sites,
            certificate=site_file,
            authority=authority_file,
            timeout=60 + count,
        )

    compared: Counter[str] = Counter()
    for site, theirs in zip(sites, verdicts, strict=True):
        ours = judge_site(site)
        for policy, (result, passed) in theirs.items():
            judged = ours[policy]
            if (judged.result, judged.passed) == (result, passed):
                compared["alike"] += 1
            elif _differs_on_purpose(site, judged, result):
                compared["different on purpose"] += 1
            else:
                compared["different"] += 1
                print(f"{policy}: they {result} {passed}, we {judged.result} {judged.passed}")
                print(f"  {site}")

    print(f"{count} sites with seed {seed}: {dict(compared)}")

    return not compared["different"]


def _differs_on_purpose(site: Site, judged: PolicyResult, result: str) -> bool:
    """Whether a difference is one of those that docs/headers.md explains."""
    headers = [(name.lower(), value) for name, value in site.headers]
    ages = [value for name, value in headers if name == "strict-transport-security"]
    match judged.policy:
        case Policy.HSTS | Policy.COOKIES:
            return any(odd in f"{age};" for age in ages for odd in _ODD_AGES)
        case Policy.CSP:
            return "http-equiv" in site.body
        case Policy.CLICKJACKING:
            return (
                "http-equiv" in site.body
                or result.endswith("allow-from-origin")
                or "lets any site frame" in judged.message
            )
        case Policy.CORS:
            return judged.result.endswith("universal-access")

    return False


if __name__ == "__main__":
    home, *numbers = sys.argv[1:]
    sys.exit(0 if main(home, *map(int, numbers)) else 1)
