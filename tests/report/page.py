from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "rect"}


@dataclass
class Page:
    """A report page read back by a parser that knows nothing of how it was written."""

    tags: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    rows: list[list[str]] = field(default_factory=list)
    text: str = ""
    policy: str = ""
    style_hash: str = ""

    @classmethod
    def of(cls, html: str) -> Page:
        reader = _Reader(cls())
        reader.feed(html)
        reader.close()
        assert reader.open == []
        return reader.page


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page
        self.open: list[str] = []
        self._in_targets = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.page.tags.add(tag)
        self.page.attributes.update(known)
        self.page.addresses.update(value for key in ("href", "src") if (value := known.get(key)))
        if known.get("http-equiv") == "Content-Security-Policy":
            self.page.policy = known["content"] or ""
        if tag == "table":
            self._in_targets = known.get("class") == "targets"
        if self._in_targets and tag == "td":
            self.page.rows[-1].append("")
        if self._in_targets and tag == "tr" and "tbody" in self.open:
            self.page.rows.append([])
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            self.page.style_hash = base64.b64encode(hashlib.sha256(data.encode()).digest()).decode()
            return
        self.page.text += data
        if self._in_targets and "td" in self.open:
            self.page.rows[-1][-1] += data
