"""Headings of a text and the sections below them, by line."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*")
_UNDERLINE = re.compile(r"(=+|-{2,})[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_UNDERLINE_LEVELS = {"=": 1, "-": 2}


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: its words, its depth (1 is the top), and its line, counted from 1."""

    title: str
    level: int
    line: int


def headings_of(text: str) -> list[Heading]:
    """The headings of a Markdown or underlined plain text, in order; code blocks have none."""
    found: list[Heading] = []
    fence: str | None = None
    previous = ""
    for number, line in enumerate(text.split("\n"), 1):
        mark = _FENCE.match(line)
        if mark and (fence is None or line.strip().startswith(fence)):
            fence = mark[1] if fence is None else None
        elif fence is None:
            found.extend(_heading_at(number, line, previous))
        previous = "" if fence or mark else line
    return found


def section_of(text: str, heading: Heading) -> str:
    """The lines from a heading to the next one of its level or above."""
    after = (one for one in headings_of(text) if one.line > heading.line and one.level <= heading.level)
    end = next(after, None)
    lines = text.split("\n")
    return "\n".join(lines[heading.line - 1 : end.line - 1 if end else None]).strip("\n")


def find_heading(text: str, title: str) -> list[Heading]:
    """Headings called ``title``: exactly so, else with other letters' case, else containing it."""
    headings = headings_of(text)
    wanted = title.strip().casefold()
    same = [one for one in headings if one.title.casefold() == wanted]
    return same or [one for one in headings if wanted and wanted in one.title.casefold()]


def _heading_at(number: int, line: str, previous: str) -> list[Heading]:
    atx = _ATX.fullmatch(line)
    if atx:
        return [Heading(atx[2].strip(), len(atx[1]), number)]
    is_title = previous.strip() and not _ATX.fullmatch(previous) and not _UNDERLINE.fullmatch(previous)
    if is_title and not previous.startswith((" ", "\t", "|", "-", "*", ">")) and _UNDERLINE.fullmatch(line):
        return [Heading(previous.strip(), _UNDERLINE_LEVELS[line[0]], number - 1)]
    return []
