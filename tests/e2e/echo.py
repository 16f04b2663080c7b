"""A server that has learned nothing: it says every credential that it is given back, in every place it can."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import quote

FILLER = 400  # a message is cut somewhere; a secret must not come through because it was cut too
WAYS = ("code", "message", "filled", "escaped", "page", "request-id", "header", "ending", "nested", "green")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        told = " ".join([self.headers.get("Authorization", ""), self.headers.get("Cookie", ""), sent]).strip()
        way = self.path.rsplit("/", 1)[-1]
        status, document = _answer(way, told)
        body = document.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if way in ("request-id", "header"):
            words = told.split()
            self.send_header("X-Request-Id", words[1] if len(words) > 1 else told)
        if way == "header":
            self.send_header("Location", told)
            self.send_header("Set-Cookie", told)
            self.send_header("Retry-After", told)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name for it
        """Say nothing."""


def _answer(way: str, told: str) -> tuple[int, str]:
    documents: dict[str, tuple[int, str]] = {
        "code": (403, json.dumps({"error_code": told, "error_msg": "no"})),
        "message": (403, json.dumps({"error_msg": f"not good: {told}"})),
        "filled": (403, json.dumps({"error_msg": "." * FILLER + told})),
        "escaped": (403, json.dumps({"error_msg": f"{quote(told)} {quote(told, safe='')} {escape(told)}"})),
        "page": (500, f"<html>{'.' * FILLER}{escape(told)} {told}</html>"),
        "request-id": (403, "{}"),
        "header": (302, "{}"),
        "ending": (403, json.dumps({"error_msg": "." * (FILLER + 100) + told})),
        "nested": (403, json.dumps({"error": {"code": told, "message": told}})),
        "green": (200, json.dumps({"error_code": told})),
        "unauthorized": (401, json.dumps({"error_msg": f"wrong: {told}"})),
    }
    return documents[way]


@contextmanager
def echoing() -> Iterator[str]:
    """Serve; yields the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
