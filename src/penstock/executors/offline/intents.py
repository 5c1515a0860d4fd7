"""What the offline planner understands a clause to ask for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class NotUnderstood(Exception):  # noqa: N818 - a finding of the parser, answered with a refusal
    """A clause is outside what the offline planner understands; the message says what stopped it."""


class Ask(StrEnum):
    """The kinds of requests."""

    LIST_FILES = "list files"
    COUNT_FILES = "count files"
    MEASURE = "measure"
    OCCURRENCES = "occurrences"
    MENTIONS = "mentions"
    COUNT_MENTIONING = "count files that mention"
    LINES_WITH = "lines with a term"
    COUNT_LINES_WITH = "count lines with a term"
    MENTIONS_MOST = "mentions most"
    EXTREME = "extreme"
    COMPARE = "compare"
    SHOW_LINES = "show lines"
    SHOW_FILE = "show file"
    SECTION = "section"
    HEADINGS = "headings"
    SUMMARY = "summary"
    KEY_WORDS = "key words"
    DANGLING = "dangling links"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Term:
    """A text to look for, and how."""

    text: str
    whole_words: bool = True
    match_case: bool = False


@dataclass(frozen=True, slots=True)
class Extreme:
    """The ``count`` files with the most, or least, of a measure."""

    measure: str
    most: bool = True
    count: int = 1


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files are meant.

    ``names`` are paths, patterns or names to be looked up; without them it is all files, of the
    ``patterns`` and ``folder`` if given. ``earlier`` means the files of the step before.
    """

    names: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    folder: str | None = None
    mentioning: Term | None = None
    extreme: Extreme | None = None
    earlier: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """A clause, understood."""

    ask: Ask
    files: Selection = field(default_factory=Selection)
    measures: tuple[str, ...] = ()
    term: Term | None = None
    extreme: Extreme | None = None
    first: int = 1
    last: int | None = None
    number: int | None = None
    target: str | None = None
    literal: str | None = None
    everything: bool = False
    most: bool = True
