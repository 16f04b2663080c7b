"""Reads the answers that come over one connection, one after the other: bounded, each told from what nobody asked for.

llhttp parses them, which aiohttp uses too; what aiohttp makes of each (a message, a multidict, a stream) costs three
times as much, and none of it is wanted here.
"""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from orchestrator.model import Response

MAX_HEADER = 128 * 1024  # an IAM token alone is tens of kilobytes
_LINE = 20  # bytes that a status line has at least
_NO_LISTS = frozenset({"set-cookie", "retry-after", "date"})  # of two such lines the last counts; of others both do
_INTERIM = frozenset({100, *range(102, 200)})  # the answer is still to come
_NOBODYS = HttpResponseParser(None)


class Replies:
    """The answers of one connection; `expect` begins with the next one.

    `answer` is there when all of it is, or as much of its body as is wanted; it is the `last` where none can follow.
    """

    __slots__ = (
        "_body",
        "_cookies",
        "_head",
        "_headers",
        "_in_body",
        "_most",
        "_parser",
        "_since",
        "_status",
        "answer",
        "last",
    )

    def __init__(self) -> None:
        self.answer: Response | None = None
        self.last = False
        self._most = 0
        self._body: bytes | bytearray = b""
        self._head = 0  # bytes of headers
        self._since = 0  # bytes since the last of a body, or the end of a head
        self._parser = HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(  # those of aiohttp
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._begin()

    def expect(self, most: int) -> None:
        """Wait for an answer, of whose body so many bytes are wanted."""
        self.answer, self.last = None, False
        self._most = most
        self._head = self._since = 0
        self._begin()

    def close(self) -> None:
        """Let go of what came, and of the parser: they hold each other."""
        self._parser, self.answer = _NOBODYS, None
        self._begin()

    def feed(self, data: bytes) -> None:
        """Take what came; raises HttpParserError when it is no answer."""
        self._since += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self.last = True
        except HttpParserError:
            if self.answer is None:
                raise
            self.last = True  # it is what came after the answer that is none
        if self._since > MAX_HEADER and self.answer is None:
            raise HttpParserError("a header, or what stands between two parts of a body, has no end")

    def end(self) -> None:
        """Take the end of the connection: it is that of a body of which nobody said the length."""
        chunked = self._headers.get("transfer-encoding", "").lower().rsplit(",")[-1].strip() == "chunked"
        if self.answer is None and self._in_body and not chunked and "content-length" not in self._headers:
            self._conclude()
        self.last = True

    # What the parser calls

    def on_message_begin(self) -> None:
        """Take no other answer for this one."""
        if self.answer is not None:
            raise ValueError("an answer to nothing")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what follows a body is none."""
        if self._in_body:
            return
        self._head += len(name) + len(value)
        if b"\0" in value or self._head > MAX_HEADER:
            raise ValueError("a header holds a NUL, or there are too many of them")
        key, text = name.decode("latin-1").lower(), value.decode("utf-8", "replace")  # so that it can be written
        if key in self._headers and key not in _NO_LISTS:
            text = f"{self._headers[key]}, {text}"
        self._headers[key] = text
        if key == "set-cookie":
            self._cookies.append(text)

    def on_headers_complete(self) -> None:
        """Go on with the body."""
        self._in_body = True
        self._since = 0
        self._head += _LINE
        if self._head > MAX_HEADER:
            raise ValueError("too much says that the answer is still to come")
        self._status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        """Take a part of the body; enough of it is an answer, and what else there is of it is not read."""
        self._since = 0
        if self.answer is not None:
            return
        if not self._body:
            self._body = data  # mostly all of it
        else:
            self._body = self._body if isinstance(self._body, bytearray) else bytearray(self._body)
            self._body += data
        if len(self._body) >= self._most:
            self.last = True
            self._conclude()

    def on_message_complete(self) -> None:
        """Take all that came for the answer, unless it only said that the answer is still to come."""
        if self._status in _INTERIM:
            self._begin()
            return
        if self.answer is None:
            self._conclude()
        self.last = not self._parser.should_keep_alive()

    def _begin(self) -> None:
        self._headers: dict[str, str] = {}
        self._status = 0
        self._cookies: list[str] = []
        self._body = b""
        self._in_body = False

    def _conclude(self) -> None:
        body, self._body = bytes(self._body[: self._most]), b""
        self.answer = Response(self._status, self._headers, body, tuple(self._cookies))
