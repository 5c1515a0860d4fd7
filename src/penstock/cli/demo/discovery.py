"""Which files of a folder the demo takes for documents."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from penstock.executors.documents import TextFormat, guess_format, seems_binary

SKIPPED_FOLDERS = frozenset(
    {
        *(".git", ".hg", ".svn", ".tox", ".nox", ".venv", "venv", "node_modules", "__pycache__"),
        *(".hypothesis", ".idea", ".vscode", ".penstock", "htmlcov", "dist", "build"),
    }
)
# A folder that holds one of these is an environment or, by its own word, a cache.
FOLDER_MARKS = ("pyvenv.cfg", "CACHEDIR.TAG")
REPORT_NAME = "demo-report.md"
LARGEST_BYTES = 8 * 1024 * 1024
LARGE_BYTES = 4 * 1024 * 1024
_HEAD_BYTES = 8192
_PROSE_FORMATS = (TextFormat.MARKDOWN, TextFormat.HTML, TextFormat.REST, TextFormat.PLAIN)


@dataclass(frozen=True, slots=True)
class FoundDocument:
    """A text file: where it is, its name relative to the folder, and its size."""

    path: Path
    name: str
    size_bytes: int

    @property
    def is_large(self) -> bool:
        """Whether its analysis takes long enough to be interrupted in the middle."""
        return self.size_bytes >= LARGE_BYTES and guess_format(self.name) in _PROSE_FORMATS


@dataclass(slots=True)
class Discovery:
    """The documents of a folder in the order of their names, and what was left out and why."""

    documents: list[FoundDocument] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def find_documents(folder: Path, *, leave_out: Path, most_files: int) -> Discovery:
    """Find the text files below `folder`, without version control, environments and caches.

    The demo's own reports are passed over without a word: `leave_out`, which is to be written, and
    older ones under the usual name. Above `most_files` the rest is counted as skipped. Symbolic
    links are not followed.
    """
    discovery = Discovery()
    for path in _files_below(folder):
        if path == leave_out or path.name == REPORT_NAME or path.is_symlink() or not path.is_file():
            continue
        reason, size_bytes = _judge(path)
        if reason is None and len(discovery.documents) == most_files:
            reason = f"above the first {most_files}"
        if reason is not None:
            discovery.skipped[reason] += 1
            continue
        name = path.relative_to(folder).as_posix()
        discovery.documents.append(FoundDocument(path, name, size_bytes))
    return discovery


def _files_below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(name for name in folders if not _is_skipped(here / name))
        yield from (here / name for name in sorted(files))


def _is_skipped(folder: Path) -> bool:
    if folder.name in SKIPPED_FOLDERS or folder.name.endswith(".egg-info"):
        return True
    return any((folder / mark).exists() for mark in FOLDER_MARKS)


def _judge(path: Path) -> tuple[str | None, int]:
    """Why a file is left out, if it is, and its size."""
    try:
        size_bytes = path.stat().st_size
        if size_bytes == 0:
            return "empty", 0
        if size_bytes > LARGEST_BYTES:
            return f"above {LARGEST_BYTES // 1024**2} MiB", size_bytes
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return "unreadable", 0
    return ("binary" if seems_binary(head) else None), size_bytes
