"""How results are put into words. Numbers stand without separators, so that they can be looked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.executors.offline.intents import Term


def counted(number: int, plural: str) -> str:
    """A number with its noun: 1 line, 2 lines."""
    return f"{number} {plural.removesuffix('s') if number == 1 else plural}"


def term_said(term: Term) -> str:
    """A term, and how it is looked for."""
    how = "whole words" if term.whole_words else "also within words"
    return f"{term.text!r} ({how}, {'exact case' if term.match_case else 'any case'})"


def joined(names: Sequence[str]) -> str:
    """Names as people list them: a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def skipped_note(skipped: Sequence[dict[str, Any]]) -> list[str]:
    """A line that says which files could not be looked at, if any."""
    if not skipped:
        return []
    return [f"Left out: {'; '.join(one['reason'] for one in skipped)}."]


def under_names(texts: dict[str, str]) -> str:
    """One text alone, several each under its file's name."""
    if len(texts) == 1:
        return next(iter(texts.values()))
    return "\n\n".join(f"{path}:\n{text}" for path, text in texts.items())
