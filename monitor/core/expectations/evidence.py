"""What expectations read of one observation, each part worked out at most once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from monitor.core.expectations.json_body import BodyError, NotJsonError, parse_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.core.model.observation import Observation

_UNREAD: Final = object()
# Only charsets whose decoders are quick and do nothing but decode: the target chooses the name.
_CHARSET: Final = re.compile(r"charset\s*=\s*\"?([a-z0-9_-]{1,20})", re.IGNORECASE)
_DECODED: Final = re.compile(
    r"iso-8859-(?:[1-9]|1[0-6])|windows-125[0-8]|utf-16(?:le|be)?|shift_jis|euc-jp|euc-kr"
    r"|gb2312|gbk|gb18030|big5|koi8-[ru]"
)


class Evidence:
    """One observation with its body as text and as JSON, kept between expectations.

    `mask` takes secrets out of what is shown of it: before that is shortened and escaped, for
    then they could not be recognized any more.
    """

    __slots__ = ("_html", "_json", "_problems", "_text", "mask", "observation")

    def __init__(self, observation: Observation, mask: Callable[[str], str] = str) -> None:
        self.observation = observation
        self.mask = mask
        self._text: str | None = None
        self._json: object = _UNREAD
        self._html: object = _UNREAD
        self._problems: dict[str, BodyError] = {}

    @property
    def text(self) -> str:
        """The body as text: by its declared charset, else as UTF-8; bad bytes are replaced."""
        if self._text is None:
            self._text = self.observation.body.decode(self._charset(), errors="replace")

        return self._text

    def json(self) -> object:
        """Give the body as JSON.

        Raises NotJsonError with words that follow `body`.
        """
        if self._json is _UNREAD:
            self._json = self._once("json", self._read_json)

        return self._json

    def html(self) -> Any:
        """Give the body as a page.

        Raises HtmlError with words that follow `body`.
        """
        from monitor.core.expectations.html_body import parse_html

        if self._html is _UNREAD:
            self._html = self._once("html", lambda: parse_html(self.text))

        return self._html

    def _once(self, what: str, read: Callable[[], object]) -> object:
        """Read the body, or say again why it could not be read the first time."""
        if what in self._problems:
            raise self._problems[what]

        try:
            return read()
        except BodyError as error:
            self._problems[what] = error
            raise

    def _read_json(self) -> object:
        body = self.observation.body
        if self.observation.body_truncated:
            raise NotJsonError(f"was cut after {len(body)} bytes, raise request.body_limit")

        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise NotJsonError(f"is not UTF-8 (byte {error.start})") from error

        if not text.strip(" \t\r\n"):
            raise NotJsonError("is empty")

        return parse_json(text)

    def _charset(self) -> str:
        declared = self.observation.header("content-type")
        found = _CHARSET.search(declared[-1]) if declared else None
        name = found[1].lower() if found else ""

        return name if _DECODED.fullmatch(name) else "utf-8"
