"""The prose of a text: its paragraphs and headings without code, tables and mark-up."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from penstock.executors.documents import html, markdown, rest
from penstock.executors.documents.block import Block
from penstock.executors.documents.formats import TextFormat
from penstock.executors.documents.sentences import split_sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Block", "Document", "prose_blocks"]

_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")
_DOCSTRING_OR_COMMENT = re.compile(
    r"^[ \t]*(?:"
    r"[rRuU]?\"\"\"(?P<double>.*?)(?:\"\"\"|\Z)"
    r"|[rRuU]?'''(?P<single>.*?)(?:'''|\Z)"
    r"|(?P<comments>#[^\n]*(?:\n[ \t]*#[^\n]*)*)"
    r")",
    re.DOTALL | re.MULTILINE,
)
_CODE_COMMENT = re.compile(
    r"^[ \t]*(?:"
    r"/\*(?P<block>.*?)(?:\*/|\Z)"
    r"|(?P<comments>(?:\#|//|--|;)[^\n]*(?:\n[ \t]*(?:\#|//|--|;)[^\n]*)*)"
    r")",
    re.DOTALL | re.MULTILINE,
)
_COMMENT_MARK = re.compile(r"^[ \t]*(?:\#+[!:]?|/{2,}!?|-{2,}|;+|\*+)?[ \t]?", re.MULTILINE)
_NOT_PROSE_LINE = re.compile(r"^[ \t]*(?:>>>|\.\.\.[ \t]|```|[-=+~|]{4,}).*$", re.MULTILINE)


@dataclass(frozen=True)
class Document:
    """A text and its format; blocks and sentences are worked out once, when first asked for."""

    text: str
    format: TextFormat = TextFormat.PLAIN

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The headings and paragraphs of the text, in reading order."""
        return tuple(prose_blocks(self.text, self.format))

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """The sentences of the paragraphs, in reading order; headings are not sentences."""
        return tuple(
            sentence
            for block in self.blocks
            if not block.is_heading
            for sentence in split_sentences(block.text)
        )


def prose_blocks(text: str, text_format: TextFormat) -> Iterator[Block]:
    """Yield the headings and paragraphs of a text, without code blocks, tables and mark-up.

    Malformed input is never an error: what cannot be understood is taken as plain prose or left
    out. The time taken grows in proportion to the text.
    """
    return _READERS[text_format](text)


def _plain_blocks(text: str) -> Iterator[Block]:
    for paragraph in _BLANK_LINES.split(text):
        if paragraph.strip():
            yield Block(paragraph.strip())


def _python_blocks(text: str) -> Iterator[Block]:
    for match in _DOCSTRING_OR_COMMENT.finditer(text):
        comments = match["comments"]
        if comments is not None:
            yield from _plain_blocks(_COMMENT_MARK.sub("", comments))
            continue
        docstring = match["double"] if match["double"] is not None else match["single"]
        first_line, _, rest_of_it = docstring.partition("\n")
        dedented = f"{first_line.strip()}\n{textwrap.dedent(rest_of_it)}"
        yield from _plain_blocks(_without_indented_lines(_NOT_PROSE_LINE.sub("", dedented)))


def _code_blocks(text: str) -> Iterator[Block]:
    for match in _CODE_COMMENT.finditer(text):
        comment = match["block"] if match["block"] is not None else match["comments"]
        yield from _plain_blocks(_NOT_PROSE_LINE.sub("", _COMMENT_MARK.sub("", comment)))


def _without_indented_lines(text: str) -> str:
    """Indented parts of a docstring are examples, fields and lists of arguments."""
    return "\n".join("" if line.startswith((" ", "\t")) else line for line in text.split("\n"))


def _no_blocks(_text: str) -> Iterator[Block]:
    return iter(())


_READERS: dict[TextFormat, Callable[[str], Iterator[Block]]] = {
    TextFormat.MARKDOWN: markdown.prose_blocks,
    TextFormat.HTML: html.prose_blocks,
    TextFormat.REST: rest.prose_blocks,
    TextFormat.PLAIN: _plain_blocks,
    TextFormat.PYTHON: _python_blocks,
    TextFormat.CODE: _code_blocks,
    TextFormat.DATA: _no_blocks,
}
