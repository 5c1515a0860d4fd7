"""A text large enough for a long step, made of the folder's own prose when it has none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from penstock.cli.demo.discovery import FoundDocument
from penstock.executors.documents import Document, decode_text, guess_format

LARGE_TEXT_BYTES = 12 * 1024 * 1024
LARGE_TEXT_NAME = "generated-large-text.txt"
_MOST_SOURCE_CHARACTERS = 2 * 1024 * 1024


def write_large_text(documents: Iterable[FoundDocument], directory: Path) -> FoundDocument:
    """Write a plain text of about 12 MiB that repeats the prose of the documents.

    It is plain prose without links, so that what is found in it is found in the documents too.
    """
    prose = "\n\n".join(_first_paragraphs(documents)) or "A folder without a sentence of its own."
    encoded = (prose + "\n\n").encode()
    path = directory / LARGE_TEXT_NAME
    with path.open("wb") as file:
        for _ in range(LARGE_TEXT_BYTES // len(encoded) + 1):
            file.write(encoded)
    return FoundDocument(path, LARGE_TEXT_NAME, path.stat().st_size)


def _first_paragraphs(documents: Iterable[FoundDocument]) -> Iterator[str]:
    characters = 0
    for found in documents:
        text = decode_text(found.path.read_bytes())
        if text is None:
            continue
        for block in Document(text, guess_format(found.name)).blocks:
            characters += len(block.text)
            if characters > _MOST_SOURCE_CHARACTERS:
                return
            yield block.text
