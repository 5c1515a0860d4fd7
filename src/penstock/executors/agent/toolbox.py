"""What an agent can do with the files of its workspace; plain functions from JSON to JSON."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Sequence
from typing import Any, Final

from penstock.executors.agent.counting import Measure, line_count, measured, occurrences
from penstock.executors.agent.headings import find_heading, headings_of, section_of
from penstock.executors.agent.patterns import is_pattern, matching
from penstock.executors.agent.workspace import TextFile, Workspace, WorkspaceError
from penstock.executors.documents import Document, check_links, guess_format, key_words, summarise

MOST_LISTED: Final = 1000
MOST_LINES_READ: Final = 400
MOST_CHARACTERS: Final = 40_000
MOST_LINES_FOUND: Final = 20
LONGEST_LINE: Final = 300

ToolResult = dict[str, Any]


class Toolbox:
    """The tools of one run, over its workspace. Each raises ``WorkspaceError`` or ``ValueError``.

    Their docstrings are what a model reads; paths may be patterns wherever several files can be given.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @property
    def tools(self) -> Sequence[Callable[..., ToolResult]]:
        """All tools, in the order in which a model sees them."""
        return (
            self.list_files,
            self.measure_files,
            self.search_files,
            self.read_file,
            self.list_headings,
            self.read_section,
            self.summarise_file,
            self.key_words,
            self.dangling_links,
            self.write_file,
        )

    def list_files(self, pattern: str = "**") -> ToolResult:
        """List the files whose path matches a pattern such as "*.md" or "docs/**", with their sizes."""
        paths = matching(pattern, self._workspace.paths())
        if len(paths) > MOST_LISTED:
            raise WorkspaceError(f"{len(paths)} files match {pattern!r}, at most {MOST_LISTED} are listed")
        files = [{"path": path, "size_bytes": self._workspace.size_bytes(path)} for path in paths]
        return {"files": files, "count": len(files)}

    def measure_files(self, paths: list[str], measure: Measure) -> ToolResult:
        """Count the lines, words, characters, bytes, sentences or headings of each file, and their total.

        Files that are not text are left out and named under "skipped".
        """
        found = self._resolved(paths)
        values: list[dict[str, Any]] = []
        skipped: list[dict[str, str]] = []
        for path in found:
            try:
                values.append({"path": path, "value": self._measure(path, measure)})
            except WorkspaceError as error:
                skipped.append({"path": path, "reason": str(error)})
        if not values:
            raise WorkspaceError("; ".join(one["reason"] for one in skipped[:3]))
        total = sum(one["value"] for one in values)
        return {"measure": measure, "files": values, "total": total, "skipped": skipped}

    def search_files(
        self, term: str, paths: list[str], whole_words: bool = True, match_case: bool = False
    ) -> ToolResult:
        """Find a term in files: how often it occurs in each, and the lines where it stands.

        With whole_words it is not found inside a longer word. Files without it are left out.
        """
        pattern = occurrences(term, whole_words=whole_words, match_case=match_case)
        found = self._resolved(paths)
        files: list[dict[str, Any]] = []
        skipped: list[dict[str, str]] = []
        for path in found:
            try:
                text = self._workspace.read(path).text
            except WorkspaceError as error:
                skipped.append({"path": path, "reason": str(error)})
                continue
            places = [match.start() for match in pattern.finditer(text)]
            if places:
                lines = _lines_at(text, places)
                shown = lines[:MOST_LINES_FOUND]
                files.append({"path": path, "count": len(places), "lines_found": len(lines), "lines": shown})
        if len(skipped) == len(found):
            raise WorkspaceError("; ".join(one["reason"] for one in skipped[:3]))
        total = sum(one["count"] for one in files)
        searched = len(found) - len(skipped)
        return {"files": files, "total": total, "searched": searched, "skipped": skipped}

    def read_file(self, path: str, first_line: int = 1, last_line: int | None = None) -> ToolResult:
        """Read lines of a file, counted from 1, or from the end when negative (-1 is the last line).

        At most 400 lines and 40,000 characters at a time; "complete" says whether all asked for came.
        """
        file = self._workspace.read(path)
        total = line_count(file.text)
        first = _from_start(first_line, total)
        last = min(total if last_line is None else _from_start(last_line, total), total)
        if (first > total or first > last) and total:
            raise WorkspaceError(f"{path} has {total} lines: there are no lines {first_line} to {last_line}")
        end = min(last, first + MOST_LINES_READ - 1)
        text = "\n".join(file.text.split("\n")[first - 1 : end])
        complete = end == last and len(text) <= MOST_CHARACTERS
        return {
            "path": path,
            "first_line": first,
            "last_line": end,
            "total_lines": total,
            "complete": complete,
            "text": text[:MOST_CHARACTERS],
        }

    def list_headings(self, path: str) -> ToolResult:
        """List the headings of a file with their depth and line."""
        found = headings_of(self._workspace.read(path).text)
        return {
            "path": path,
            "headings": [{"title": one.title, "level": one.level, "line": one.line} for one in found],
        }

    def read_section(self, path: str, heading: str) -> ToolResult:
        """Read the section of a file below a heading."""
        text = self._workspace.read(path).text
        found = find_heading(text, heading)
        if len(found) != 1:
            known = ", ".join(repr(one.title) for one in (found or headings_of(text))[:20])
            problem = f"{len(found)} headings" if found else "no heading"
            raise WorkspaceError(f"{path} has {problem} like {heading!r}; it has {known or 'no headings'}")
        section = section_of(text, found[0])
        return {"path": path, "heading": found[0].title, "text": section[:MOST_CHARACTERS]}

    def summarise_file(self, path: str, sentences: int = 3) -> ToolResult:
        """Summarise a file by the sentences of it that say most, in reading order."""
        if not 1 <= sentences <= 50:  # noqa: PLR2004 - stated in the message
            raise WorkspaceError(f"a summary has from 1 to 50 sentences, got {sentences}")
        summary = summarise(self._document(path), sentence_count=sentences)
        chosen = [one.text for one in summary.sentences]
        return {"path": path, "sentences": chosen, "sentences_considered": summary.sentences_considered}

    def key_words(self, path: str, limit: int = 8) -> ToolResult:
        """The phrases that tell what a file is about, best first, with how often they occur."""
        if not 1 <= limit <= 100:  # noqa: PLR2004 - stated in the message
            raise WorkspaceError(f"from 1 to 100 key words can be asked for, got {limit}")
        found = key_words(self._document(path), limit=limit)
        return {"path": path, "key_words": [{"phrase": one.phrase, "count": one.count} for one in found]}

    def dangling_links(self, path: str) -> ToolResult:
        """The links of a file to other files or headings that are not there; web links are not fetched."""
        report = check_links(self._document(path), lambda target: self._workspace.exists_beside(path, target))
        dangling = [{"target": one.target, "line": one.line, "reason": one.reason} for one in report.dangling]
        return {
            "path": path,
            "dangling": dangling,
            "local_links": report.local_links,
            "web_links": report.web_links,
        }

    def write_file(self, name: str, text: str) -> ToolResult:
        """Write a text file among this run's artifacts; a file of the same name is replaced."""
        size_bytes = self._workspace.write(name, text)
        return {"name": name, "media_type": media_type(name), "size_bytes": size_bytes}

    def _measure(self, path: str, measure: Measure) -> int:
        if measure == "bytes":
            return self._workspace.size_bytes(path)
        file = self._workspace.read(path)
        return measured(path, file.text, file.size_bytes, measure)

    def _document(self, path: str) -> Document:
        file: TextFile = self._workspace.read(path)
        return Document(file.text, guess_format(path))

    def _resolved(self, paths: list[str]) -> list[str]:
        known = self._workspace.paths() if any(is_pattern(path) for path in paths) else []
        found: dict[str, None] = {}
        for path in paths:
            found.update(dict.fromkeys(matching(path, known) if is_pattern(path) else [path]))
        if not found:
            raise WorkspaceError(f"no file matches {', '.join(paths) or 'an empty list of paths'}")
        return list(found)


def media_type(name: str) -> str:
    """The media type that a file's name promises; plain text when it promises none."""
    if name.lower().endswith((".md", ".markdown")):
        return "text/markdown"
    return mimetypes.guess_type(name)[0] or "text/plain"


def _from_start(line: int, total: int) -> int:
    return max(total + 1 + line, 1) if line < 0 else max(line, 1)


def _lines_at(text: str, places: list[int]) -> list[dict[str, Any]]:
    """The lines on which the places stand, each once."""
    found: list[dict[str, Any]] = []
    number, seen = 1, 0
    for place in places:
        number += text.count("\n", seen, place)
        seen = place
        if not found or found[-1]["line"] != number:
            start, end = text.rfind("\n", 0, place) + 1, text.find("\n", place)
            line = text[start : end if end >= 0 else None].strip()
            found.append({"line": number, "text": line[:LONGEST_LINE]})
    return found
