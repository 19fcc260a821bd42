"""Sites made up at random, from the parts on which judges of headers disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.support.observatory import Site

if TYPE_CHECKING:
    from random import Random

Line = tuple[str, str]

_SOURCES: Final = (
    *("'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "'strict-dynamic'", "*", "data:"),
    *("https:", "http:", "ftp:", "blob:", "'nonce-abc'", "'sha256-AAAA'", "'SELF'", "https://*"),
    *("cdn.example.com", "https://cdn.example.com", "http://cdn.example.com", "*.example.com"),
    *("'Unsafe-Inline'", "HTTP://a.example", "'nonce-ABC'", "'report-sample'", "http://*.*"),
)
_DIRECTIVES: Final = (
    *("default-src", "script-src", "style-src", "img-src", "media-src", "object-src", "font-src"),
    *("base-uri", "form-action", "frame-ancestors", "connect-src", "frame-src", "worker-src"),
    *("Script-Src", "script-src-elem", "upgrade-insecure-requests", "report-uri", "report-to"),
    *("sandbox", "future-src", "manifest-src", "block-all-mixed-content"),
)
_AGES: Final = (
    *("max-age=63072000", "max-age=15552000", "max-age=15551999", "max-age=0", "MAX-AGE=31536000"),
    *('max-age="31536000"', "max-age=abc", "max-age", "max-age=-5", "max-age = 31536000", ""),
)
_REFERRER: Final = (
    *("no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin", "origin"),
    *(
        "unsafe-url",
        "no-referrer-when-downgrade",
        "origin-when-cross-origin",
        "none",
        "NO-REFERRER",
    ),
    *("future", "", " same-origin "),
)
_COOKIES: Final = (
    "a",
    "theme",
    "sessionid",
    "PHPSESSID",
    "login_token",
    "csrftoken",
    "XSRF",
    "lang",
)
_FLAGS: Final = (
    *("Secure", "HttpOnly", "SameSite=Lax", "SameSite=Strict", "SameSite=None", "samesite=lax"),
    *("SameSite", "SameSite=", "SameSite=Maybe", "Path=/", "Path=/a", "secure", "Max-Age=0"),
    *("Expires=Wed, 21 Oct 2015 07:28:00 GMT", "Priority=High", " Secure ", "HTTPONLY"),
)
_SCRIPTS: Final = (
    *("https://cdn.example.com/a.js", "http://cdn.example.com/a.js", "//cdn.example.com/a.js"),
    *("/a.js", "a.js", "https://127.0.0.1/a.js", "HTTPS://CDN.example.com/b.js", "data:text/js,1"),
    *("", " https://cdn.example.com/c.js "),
)
_TYPES: Final = (
    *("text/html; charset=utf-8", "text/html", "application/xhtml+xml", "application/json"),
    *("text/plain", "text/html;charset=utf-8"),
)


def make_site(random: Random) -> Site:
    """Make up one site."""
    lines: list[Line] = []
    for part in (_csp, _hsts, _framing, _sniffing, _referrer, _resource, _cookies):
        lines += part(random)
    if random.random() < 0.95:
        lines.append(("Content-Type", random.choice(_TYPES)))
    random.shuffle(lines)
    https = random.choices(["valid", "closed"], [9, 1])[0]
    chains = [("$HTTPS/",), ("$HTTP/r1", "$HTTPS/"), ("$OTHERHTTPS/",), ("$HTTP/r1", "$HTTP/end")]

    return Site(
        headers=tuple(lines),
        body=_page(random),
        preflight=tuple(_preflight(random)),
        https=https,
        http=random.choices(["redirect", "same", "closed"], [6, 1, 1])[0]
        if https == "valid"
        else "same",
        redirects=random.choices(chains, [5, 2, 1, 1])[0],
    )


def _csp(random: Random) -> list[Line]:
    if random.random() < 0.15:
        return []

    name = "Content-Security-Policy"
    if random.random() < 0.1:
        name += "-Report-Only"

    return [(name, _policy(random))]


def _policy(random: Random) -> str:
    if random.random() < 0.03:
        return random.choice(["", ";", "a", ";;;;;;;", "none", "default-src"])

    parts = [_directive(random, name) for name in random.sample(_DIRECTIVES, random.randint(1, 5))]
    if random.random() < 0.6:
        parts.insert(0, "default-src " + random.choice(["'none'", "'self'", "'self' https:"]))
    if random.random() < 0.1:
        parts.append(random.choice(parts))

    return random.choice(["; ", ";", " ; "]).join(parts) + random.choice(["", ";", " "])


def _directive(random: Random, name: str) -> str:
    sources = random.sample(_SOURCES, random.choices([0, 1, 2, 3, 4], [1, 5, 5, 2, 1])[0])

    return random.choice([" ", "  "]).join([name, *sources])


def _hsts(random: Random) -> list[Line]:
    parts = [random.choice(_AGES)]
    parts += random.sample(["includeSubDomains", "preload"], random.randint(0, 2))
    random.shuffle(parts)
    line = ("Strict-Transport-Security", random.choice(["; ", ";", " ; "]).join(parts))

    return [line] * random.choices([0, 1, 2], [2, 8, 1])[0]


def _framing(random: Random) -> list[Line]:
    values = ["DENY", "SAMEORIGIN", "sameorigin", "deny ", "ALLOW-FROM https://a.example", "", "x"]
    line = ("X-Frame-Options", random.choice(values))

    return [line] * random.choices([0, 1, 2], [3, 5, 1])[0]


def _sniffing(random: Random) -> list[Line]:
    values = ["nosniff", "NoSniff", "nosniff,nosniff", "", "none", " nosniff"]
    line = ("X-Content-Type-Options", random.choice(values))

    return [line] * random.choices([0, 1, 2], [3, 5, 1])[0]


def _referrer(random: Random) -> list[Line]:
    def line() -> Line:
        values = random.sample(_REFERRER, random.choices([1, 2, 3], [6, 2, 1])[0])
        return "Referrer-Policy", random.choice([", ", ","]).join(values)

    return [line() for _ in range(random.choices([0, 1, 2], [3, 6, 1])[0])]


def _resource(random: Random) -> list[Line]:
    values = ["same-origin", "same-site", "cross-origin", "Same-Origin", "", "none", "same-site, x"]
    line = ("Cross-Origin-Resource-Policy", random.choice(values))

    return [line] * random.choices([0, 1, 2], [4, 5, 1])[0]


def _cookies(random: Random) -> list[Line]:
    def line() -> Line:
        flags = random.sample(_FLAGS, random.randint(0, 5))
        pair = f"{random.choice(_COOKIES)}={random.choice(['1', '', 'a=b'])}"
        if random.random() < 0.05:
            pair = random.choice(["novalue", "=1", "__Host-a=1", "__Secure-b=1", " c = 1"])
        return "Set-Cookie", random.choice(["; ", ";"]).join([pair, *flags])

    return [line() for _ in range(random.choices([0, 1, 2, 3], [4, 4, 2, 1])[0])]


def _preflight(random: Random) -> list[Line]:
    origins = ["*", "$ORIGIN", "https://shop.example", "null", " * ", ""]
    lines = [("Access-Control-Allow-Origin", random.choice(origins))]
    if random.random() < 0.5:
        lines.append(("Access-Control-Allow-Credentials", random.choice(["true", "false", "TRUE"])))

    return lines if random.random() < 0.7 else []


def _page(random: Random) -> str:
    head = []
    if random.random() < 0.2:
        head.append(f'<meta http-equiv="Content-Security-Policy" content="{_policy(random)}">')
    if random.random() < 0.2:
        head.append(f'<META NAME=Referrer content="{random.choice(_REFERRER)}" />')
    for _ in range(random.choices([0, 1, 2, 3], [3, 4, 2, 1])[0]):
        integrity = random.choice(["", "", ' integrity="sha384-AAAA"', " integrity"])
        source = f' src="{random.choice(_SCRIPTS)}"' if random.random() < 0.85 else ""
        head.append(f"<script{source}{integrity}>/* <script src='http://x/'> */</script>")
    if random.random() < 0.1:
        head.append("<!-- <script src='http://evil.example/'></script> -->")
    random.shuffle(head)

    return f"<!doctype html><html><head><title>t</title>{''.join(head)}</head><body>x</body></html>"
