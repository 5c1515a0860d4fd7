"""From bytes to text, and what kind of text a file name promises."""

from __future__ import annotations

import codecs
import re
from enum import StrEnum
from pathlib import PurePath


class TextFormat(StrEnum):
    """How the prose and the links of a text are found."""

    MARKDOWN = "markdown"
    HTML = "html"
    REST = "rest"
    PLAIN = "plain"
    PYTHON = "python"
    """Prose is in docstrings and comments."""
    CODE = "code"
    """Any other programming or configuration language: prose is in comments."""
    DATA = "data"
    """Tables and serialised data: no prose at all."""


_SUFFIXES: dict[TextFormat, str] = {
    TextFormat.MARKDOWN: ".md .markdown .mdown .mkd",
    TextFormat.HTML: ".html .htm .xhtml",
    TextFormat.REST: ".rst .rest",
    TextFormat.PLAIN: ".txt .text",
    TextFormat.PYTHON: ".py .pyi .pyw",
    TextFormat.CODE: (
        ".bash .c .cc .cfg .conf .cpp .css .go .h .hpp .ini .java .js .jsx .kt .lua .mjs .php .pl"
        " .rb .rs .scss .service .sh .sql .swift .toml .ts .tsx .yaml .yml .zsh"
    ),
    TextFormat.DATA: ".csv .geojson .ipynb .json .jsonl .lock .log .map .ndjson .svg .tsv .xml",
}
_FORMAT_BY_SUFFIX = {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
_CODE_NAMES = frozenset({"dockerfile", "makefile", "justfile", "procfile", "run"})

_BYTE_ORDER_MARKS = (
    # The UTF-32 mark begins with the UTF-16 one, so it is tried first.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL_CHARACTERS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def guess_format(file_name: str) -> TextFormat:
    """Return the format that a file's name promises; plain text when it promises nothing."""
    path = PurePath(file_name)
    if path.name.lower() in _CODE_NAMES or path.name.startswith("."):
        return _FORMAT_BY_SUFFIX.get(path.suffix.lower(), TextFormat.CODE)
    return _FORMAT_BY_SUFFIX.get(path.suffix.lower(), TextFormat.PLAIN)


def seems_binary(head: bytes) -> bool:
    """Say from the first bytes of a file whether the whole is worth decoding as text."""
    return _marked_encoding(head) is None and _CONTROL_CHARACTERS.search(head) is not None


def decode_text(data: bytes) -> str | None:
    """Decode a file's bytes, or return None when they are not text.

    A byte order mark decides; otherwise UTF-8 is tried, then the Windows code page that old
    Western texts are in. Bytes with control characters that no text has (NUL among them) are
    binary. Line ends come back as a single newline.
    """
    if seems_binary(data):
        return None
    encoding = _marked_encoding(data)
    for candidate in (encoding,) if encoding else ("utf-8", "cp1252"):
        try:
            text = data.decode(candidate)
        except UnicodeDecodeError:
            continue
        return text.replace("\r\n", "\n").replace("\r", "\n")
    return None


def _marked_encoding(data: bytes) -> str | None:
    return next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), None)
