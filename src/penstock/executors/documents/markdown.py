"""Markdown: prose, links and heading anchors through the CommonMark parser, tables included."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from penstock.executors.documents import html
from penstock.executors.documents.block import Block, Link, LinksAndAnchors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it.token import Token

_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_NOT_IN_SLUG = re.compile(r"[^\w\- ]")


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table")


def _parse(text: str) -> list[Token]:
    front_matter = _FRONT_MATTER.match(text)
    if front_matter:
        # Blank lines in its place keep the line numbers of everything below.
        text = "\n" * front_matter[0].count("\n") + text[front_matter.end() :]
    return _parser().parse(text)


def prose_blocks(text: str) -> Iterator[Block]:
    """Yield headings, paragraphs and list items; code blocks, tables and HTML are left out."""
    heading = False
    table_depth = 0
    for token in _parse(text):
        if token.type in {"table_open", "table_close"}:
            table_depth += token.nesting
        elif token.type in {"heading_open", "heading_close"}:
            heading = token.nesting > 0
        elif token.type == "inline" and not table_depth:
            plain = _plain_text(token.children or ())
            if plain.strip():
                yield Block(plain.strip(), is_heading=heading)


def links_and_anchors(text: str) -> LinksAndAnchors:
    """Collect link and image targets, and the anchors that headings and HTML ids make.

    Headings get the anchors that code hosts give them: small letters, hyphens for spaces, marks
    left out, and a number behind the second one of the same name.
    """
    found = LinksAndAnchors()
    seen_slugs: dict[str, int] = {}
    in_heading = False
    for token in _parse(text):
        line = token.map[0] + 1 if token.map else 1
        if token.type in {"heading_open", "heading_close"}:
            in_heading = token.nesting > 0
        elif token.type == "html_block":
            html.collect(token.content, found, first_line=line)
        elif token.type == "inline":
            if in_heading:
                found.anchors.add(_unique_slug(_plain_text(token.children or ()), seen_slugs))
            _collect_inline(token.children or (), line, found)
    return found


def _collect_inline(children: Sequence[Token], line: int, found: LinksAndAnchors) -> None:
    for child in children:
        if child.type == "link_open":
            found.links.append(Link(str(child.attrGet("href") or ""), line))
        elif child.type == "image":
            found.links.append(Link(str(child.attrGet("src") or ""), line))
        elif child.type == "html_inline":
            html.collect(child.content, found, first_line=line)
        elif child.type in {"softbreak", "hardbreak"}:
            line += 1


def _plain_text(children: Sequence[Token]) -> str:
    parts: list[str] = []
    for child in children:
        if child.type in {"softbreak", "hardbreak"}:
            parts.append(" ")
        elif child.type in {"text", "code_inline"}:
            parts.append(child.content)
    return "".join(parts)


def _unique_slug(heading: str, seen: dict[str, int]) -> str:
    slug = _NOT_IN_SLUG.sub("", heading.strip().lower()).replace(" ", "-")
    earlier = seen.get(slug, 0)
    seen[slug] = earlier + 1
    return f"{slug}-{earlier}" if earlier else slug
