"""reStructuredText: prose and links by its own line rules, without the directives' meaning."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from penstock.executors.documents.block import Block, Link, LinksAndAnchors

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNDERLINE = re.compile(r"([=\-`:.'\"~^_*+#])\1{2,}[ \t]*")
_EMBEDDED_TARGET = re.compile(r"`[^`<]{0,300}<(?P<target>[^`>\s]{1,2000})>`__?")
_NAMED_TARGET = re.compile(r"^[ \t]*\.\. _(?P<name>[^:\n]{1,300}):[ \t]*(?P<target>\S*)[ \t]*$")
_FILE_DIRECTIVE = re.compile(
    r"^[ \t]*\.\. (?:\|[^|\n]{1,100}\| )?"
    r"(?:image|figure|include|literalinclude)::[ \t]*(?P<path>\S+)"
)
_TABLE_LINE = re.compile(r"[ \t]*(?:\+[-=+]{3,}|={2,}(?:[ \t]+={2,})+|\|.*\|)[ \t]*")
_LITERAL = re.compile(r"``(.{1,500}?)``")
_ROLE = re.compile(r":[\w:+.-]{1,60}:`[~!]?([^`<]{1,300}?)(?:\s*<[^`>]{0,300}>)?`")
_REFERENCE = re.compile(r"(?<!\w)`([^`<]{1,300}?)\s*(?:<[^`>]{1,2000}>)?`__?")
_MARKS = re.compile(r"``|\*\*|[*|`]|(?<=[A-Za-z0-9])_\b(?!_)")
_NOT_IN_ID = re.compile(r"[^a-z0-9]+")


def prose_blocks(text: str) -> Iterator[Block]:
    """Yield titles and paragraphs; directives, literal blocks and tables are left out."""
    for paragraph in _paragraphs(text):
        title = _title_of(paragraph)
        if title is not None:
            yield Block(_without_marks(title), is_heading=True)
            continue
        kept = [line for line in paragraph if not _TABLE_LINE.fullmatch(line)]
        plain = _without_marks(" ".join(line.strip() for line in kept))
        if plain and len(kept) == len(paragraph):
            yield Block(plain.removesuffix("::").rstrip())


def links_and_anchors(text: str) -> LinksAndAnchors:
    """Collect embedded and named targets and image paths, and the ids of titles and labels."""
    found = LinksAndAnchors()
    previous = ""
    for number, line in enumerate(text.split("\n"), start=1):
        named = _NAMED_TARGET.match(line)
        directive = _FILE_DIRECTIVE.match(line)
        if named is not None:
            found.anchors.add(_identifier(named["name"]))
            if named["target"] and not named["target"].endswith("_"):
                found.links.append(Link(named["target"], number))
        elif directive is not None:
            found.links.append(Link(directive["path"], number))
        for match in _EMBEDDED_TARGET.finditer(line):
            if not match["target"].endswith("_"):
                found.links.append(Link(match["target"], number))
        if previous.strip() and _UNDERLINE.fullmatch(line):
            found.anchors.add(_identifier(previous))
        previous = line
    return found


def _paragraphs(text: str) -> Iterator[list[str]]:
    paragraph: list[str] = []
    hidden_below: int | None = None
    for line in [*text.split("\n"), ""]:
        stripped = line.strip()
        indent = len(line) - len(line.lstrip())
        if hidden_below is not None and stripped and indent <= hidden_below:
            hidden_below = None
        if hidden_below is not None:
            continue
        if not stripped:
            if paragraph:
                if paragraph[-1].rstrip().endswith("::"):
                    hidden_below = len(paragraph[-1]) - len(paragraph[-1].lstrip())
                yield paragraph
            paragraph = []
        elif stripped.startswith(".. ") or stripped == "..":
            if paragraph:
                yield paragraph
            paragraph, hidden_below = [], indent
        else:
            paragraph.append(line)


def _title_of(paragraph: list[str]) -> str | None:
    lines = [line for line in paragraph if not _UNDERLINE.fullmatch(line)]
    if len(lines) == 1 and len(paragraph) > 1:
        return lines[0].strip()
    return None


def _without_marks(text: str) -> str:
    parts = _LITERAL.split(text)
    parts[::2] = [_MARKS.sub("", _REFERENCE.sub(r"\1", _ROLE.sub(r"\1", part))) for part in parts[::2]]
    return "".join(parts).strip()


def _identifier(title: str) -> str:
    return _NOT_IN_ID.sub("-", title.strip().strip("`").lower()).strip("-")
