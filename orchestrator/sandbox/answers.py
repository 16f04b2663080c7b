"""The shapes in which the services answer, and the exception that carries a finished answer out of a check."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from aiohttp import web


class Refusal(Exception):  # noqa: N818  an answer like any other, raised where the check is
    """A finished error answer; whoever raises it has left the state untouched."""

    def __init__(self, answer: web.Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


def document(data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with `data` as JSON."""
    body = orjson.dumps(data)
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def page(html: str, status: int = 200) -> web.Response:
    """Answer with an HTML page."""
    return web.Response(text=html, status=status, content_type="text/html")


def error(status: int, code: str, message: str, **more: object) -> web.Response:
    """Answer in the shape of the gateway, DAS and Workspace: error_code and error_msg."""
    return document({"error_code": code, "error_msg": message, **more}, status)


def keystone_error(status: int, title: str, message: str) -> web.Response:
    """Answer in the shape of `/v3/auth/tokens`: one nested error with an integer code."""
    return document({"error": {"code": status, "message": message, "title": title}}, status)
