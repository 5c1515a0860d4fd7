"""HTML: prose, links and ids through the standard library's tolerant parser."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from penstock.executors.documents.block import Block, Link, LinksAndAnchors

if TYPE_CHECKING:
    from collections.abc import Iterator

_SILENT = frozenset({"script", "style", "pre", "table", "nav", "head", "template", "svg"})
_INLINE_TAGS = """
a abbr b bdi bdo cite code data dfn em font i kbd mark q s samp small span strong sub sup time tt
u var wbr
"""
_INLINE = frozenset(_INLINE_TAGS.split())
# Unclosed, these take the standard parser quadratic time, so they never get that far.
_NOT_FOR_THE_PARSER = re.compile(
    r"<!--.*?(?:-->|\Z)|<\?.*?(?:>|\Z)|<!\[.*?(?:\]\]?>|\Z)|</[^<>]*(?=<|\Z)", re.DOTALL
)
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})


def prose_blocks(text: str) -> Iterator[Block]:
    """Yield headings and the text between block elements; scripts, code and tables are left out."""
    reader = _ProseReader()
    reader.feed(_without_comments(text))
    reader.close()
    reader.end_block()
    return iter(reader.blocks)


def links_and_anchors(text: str) -> LinksAndAnchors:
    """Collect `href` and `src` targets, and the ids and names that anchors point at."""
    found = LinksAndAnchors()
    collect(text, found)
    return found


def collect(text: str, found: LinksAndAnchors, *, first_line: int = 1) -> None:
    """Add the links and anchors of a piece of HTML, whose first line has the given number."""
    reader = _LinkReader(found, first_line)
    reader.feed(_without_comments(text))
    reader.close()


def _without_comments(text: str) -> str:
    """Blank comments and the like out; line ends stay, so that line numbers do."""
    return _NOT_FOR_THE_PARSER.sub(lambda match: "\n" * match[0].count("\n"), text)


class _ProseReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[Block] = []
        self._parts: list[str] = []
        self._silent: list[str] = []
        self._heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent.append(tag)
        if tag not in _INLINE:
            self.end_block()
            self._heading = tag in _HEADINGS

    def handle_endtag(self, tag: str) -> None:
        if tag in self._silent:
            # An unclosed inner element must not keep the rest of the page silent.
            del self._silent[self._silent.index(tag) :]
        if tag not in _INLINE:
            self.end_block()
            self._heading = False

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._parts.append(data)

    def end_block(self) -> None:
        text = " ".join("".join(self._parts).split())
        self._parts.clear()
        if text:
            self.blocks.append(Block(text, is_heading=self._heading))


class _LinkReader(HTMLParser):
    def __init__(self, found: LinksAndAnchors, first_line: int) -> None:
        super().__init__(convert_charrefs=True)
        self._found = found
        self._lines_before = first_line - 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        line = self._lines_before + self.getpos()[0]
        for name, value in attrs:
            if not value:
                continue
            if name in {"href", "src"} and tag != "base":
                self._found.links.append(Link(value.strip(), line))
            elif name == "id" or (name == "name" and tag == "a"):
                self._found.anchors.add(value)
