"""What can be measured on a text, and where a term occurs in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Literal, TypeAlias, get_args

from penstock.executors.agent.headings import headings_of
from penstock.executors.documents import Document, guess_format

Measure: TypeAlias = Literal["lines", "words", "characters", "bytes", "sentences", "headings"]
MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)


def line_count(text: str) -> int:
    """Lines; a last one without an end of line counts, an empty text has none."""
    return text.count("\n") + (1 if text and not text.endswith("\n") else 0)


def measured(path: str, text: str, size_bytes: int, measure: Measure) -> int:
    """One measure of one text: words are what white space separates, sentences are those of its prose."""
    return _MEASURING[measure](path, text, size_bytes)


def _sentences(path: str, text: str, _size_bytes: int) -> int:
    return len(Document(text, guess_format(path)).sentences)


def _headings(_path: str, text: str, _size_bytes: int) -> int:
    return len(headings_of(text))


_MEASURING: Final[dict[Measure, Callable[[str, str, int], int]]] = {
    "lines": lambda _path, text, _size: line_count(text),
    "words": lambda _path, text, _size: len(text.split()),
    "characters": lambda _path, text, _size: len(text),
    "bytes": lambda _path, _text, size_bytes: size_bytes,
    "sentences": _sentences,
    "headings": _headings,
}


def occurrences(term: str, *, whole_words: bool, match_case: bool) -> re.Pattern[str]:
    """A pattern that finds ``term`` itself; with ``whole_words`` not inside a longer word.

    White space in the term stands for any white space.
    """
    words = term.split()
    if not words:
        raise ValueError("the term to look for is empty: say what to look for")
    body = r"\s+".join(re.escape(word) for word in words)
    # A term that begins or ends with a mark has its border there already.
    before = r"(?<!\w)" if whole_words and re.match(r"\w", words[0]) else ""
    after = r"(?!\w)" if whole_words and re.search(r"\w\Z", words[-1]) else ""
    return re.compile(before + body + after, 0 if match_case else re.IGNORECASE)
