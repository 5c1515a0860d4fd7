"""Links of a text that lead nowhere: missing files and anchors without a heading."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

from penstock.executors.documents import html, markdown, rest
from penstock.executors.documents.block import Link, LinksAndAnchors
from penstock.executors.documents.formats import TextFormat

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.executors.documents.prose import Document

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_WEB_ADDRESS = re.compile(r"https?://[^\s<>\"')\]]{1,2000}")
# Every page has a top, whatever its headings are.
_ALWAYS_THERE = frozenset({"", "top"})


@dataclass(frozen=True, slots=True)
class DanglingLink:
    """A link that leads nowhere: its target as written, its line (from 1), and why it dangles."""

    target: str
    line: int
    reason: Literal["no such file", "no such heading"]


@dataclass(frozen=True, slots=True)
class LinkReport:
    """What the links of one text lead to. Web links are counted and never fetched."""

    dangling: tuple[DanglingLink, ...]
    local_links: int
    """Links to files beside the document and to anchors in it, the dangling ones included."""
    web_links: int


def check_links(document: Document, exists: Callable[[str], bool]) -> LinkReport:
    """Find the relative links, images and in-page anchors of a text that lead nowhere.

    `exists` is asked once for each different relative path, decoded and without query or anchor:
    it says whether a file or folder is there, seen from the document's folder. A path that begins
    with a slash means the root of a site or repository, which only the caller knows.
    """
    found = _collect(document)
    known: dict[str, bool] = {}
    anchors = {anchor.lower() for anchor in found.anchors}
    dangling: list[DanglingLink] = []
    local = web = 0
    for link in found.links:
        path, _, anchor = link.target.partition("#")
        path = unquote(path.partition("?")[0])
        if link.target.startswith("//") or _SCHEME.match(link.target):
            web += link.target.lower().startswith(("http:", "https:", "//"))
        elif path:
            local += 1
            if path not in known:
                known[path] = exists(path)
            if not known[path]:
                dangling.append(DanglingLink(link.target, link.line, "no such file"))
        elif "#" in link.target:
            local += 1
            if unquote(anchor).lower() not in anchors | _ALWAYS_THERE:
                dangling.append(DanglingLink(link.target, link.line, "no such heading"))
    return LinkReport(tuple(dangling), local, web)


def _collect(document: Document) -> LinksAndAnchors:
    if document.format is TextFormat.MARKDOWN:
        return markdown.links_and_anchors(document.text)
    if document.format is TextFormat.HTML:
        return html.links_and_anchors(document.text)
    if document.format is TextFormat.REST:
        return rest.links_and_anchors(document.text)
    return _web_addresses(document.text)


def _web_addresses(text: str) -> LinksAndAnchors:
    """Plain text and code have no relative links, only addresses that are written out."""
    return LinksAndAnchors([Link(match[0], 1) for match in _WEB_ADDRESS.finditer(text)])
