"""The sandbox: which files an agent may read, and where it may write.

Reading stays below one folder, writing below the run's own artifact folder. Hidden files and folders
(a name with a leading dot) are not shown and not read: secrets and repositories live there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from penstock.executors.documents import decode_text

ARTIFACTS_FOLDER: Final = ".penstock/artifacts"
MOST_READ_BYTES: Final = 8 * 1024 * 1024
MOST_WRITTEN_BYTES: Final = 256 * 1024
MOST_KEPT_BYTES: Final = 512 * 1024
MOST_FILES: Final = 5000
_SHOWN: Final = 120


class WorkspaceError(ValueError):
    """A tool cannot do what it was asked; the message is for the model that asked."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file that was read: its path as the agent sees it, its text and its size on disk."""

    path: str
    text: str
    size_bytes: int


class Workspace:
    """The files of one run. All paths are relative, with forward slashes."""

    def __init__(self, root: Path, run_id: str, folder: str | None = None) -> None:
        """Read below ``folder`` of ``root``; write for ``run_id``. Raises ``WorkspaceError``."""
        if not root.is_dir():
            raise WorkspaceError(f"the workspace {root.name!r} is not a folder: create it, or set another")
        self._top = root.resolve()
        self._root = self._top
        # A run may be called "..", its folder may not.
        self._artifacts = self._top / ARTIFACTS_FOLDER / (f"_{run_id}" if run_id.startswith(".") else run_id)
        if folder not in {None, "", "."}:
            self._root = self._inside(str(folder))
            if not self._root.is_dir():
                raise WorkspaceError(f"{_shown(str(folder))} is not a folder of the workspace")

    def paths(self) -> list[str]:
        """All files an agent may see, sorted; raises ``WorkspaceError`` above 5,000."""
        found: list[str] = []
        for path in self._walk():
            found.append(path)
            if len(found) > MOST_FILES:
                raise WorkspaceError(f"the workspace has more than {MOST_FILES} files: name a folder of it")
        return sorted(found)

    def size_bytes(self, path: str) -> int:
        """The size of a file."""
        return self._readable(path).stat().st_size

    def read(self, path: str) -> TextFile:
        """The text of a file; raises ``WorkspaceError`` when it is missing, binary, huge or outside."""
        place = self._readable(path)
        data = _read_regular(place, path)
        text = decode_text(data)
        if text is None:
            raise WorkspaceError(f"{_shown(path)} is a binary file: only text can be read")
        return TextFile(path, text, len(data))

    def exists_beside(self, path: str, target: str) -> bool:
        """Whether ``target``, seen from the folder of ``path``, is a file or folder of the workspace."""
        start = self._root if target.startswith("/") else self._inside(path).parent
        try:
            place = (start / target.lstrip("/")).resolve()
            return place.is_relative_to(self._root) and place.exists()
        except (OSError, RuntimeError, ValueError):
            return False

    def write(self, name: str, text: str) -> int:
        """Write a file of the run whole or not at all, over an earlier one; return its size in bytes."""
        data = text.encode("utf-8", errors="replace")
        if len(data) > MOST_WRITTEN_BYTES:
            raise WorkspaceError(
                f"{_shown(name)} would have {len(data)} bytes, the limit is {MOST_WRITTEN_BYTES}: write less"
            )
        parts = _parts(name)
        place = self._made_folder(parts[:-1]) / parts[-1]
        if place.is_dir():
            raise WorkspaceError(f"{_shown(name)} is a folder of this run's artifacts: use another name")
        kept = sum(one.stat().st_size for one in self._artifacts.rglob("*") if one.is_file() and one != place)
        if kept + len(data) > MOST_KEPT_BYTES:
            raise WorkspaceError(
                f"this run's files would have {kept + len(data)} bytes together, "
                f"the limit is {MOST_KEPT_BYTES}"
            )
        _replace(place, data)
        return len(data)

    def _walk(self) -> Iterator[str]:
        for folder, folders, names in os.walk(self._root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in names:
                place = Path(folder, name)
                if not name.startswith(".") and self._is_ours(place):
                    yield place.relative_to(self._root).as_posix()

    def _is_ours(self, place: Path) -> bool:
        try:
            real = place.resolve(strict=True)
            is_shown = real.is_relative_to(self._root) and not _is_hidden(real.relative_to(self._root))
            return is_shown and stat.S_ISREG(real.stat().st_mode)
        except (OSError, RuntimeError):
            # Gone meanwhile, a link to nowhere, or a link that leads to itself.
            return False

    def _readable(self, path: str) -> Path:
        place = self._inside(path)
        own = self._artifacts.joinpath(*_parts(path))
        # What the run wrote itself can be read back, where no file of the workspace has that name.
        if not place.exists() and own.resolve().is_relative_to(self._artifacts) and own.is_file():
            return own
        if not place.exists():
            raise WorkspaceError(f"there is no file {_shown(path)}")
        if place.is_dir():
            raise WorkspaceError(f"{_shown(path)} is a folder, expected a file")
        return place

    def _inside(self, path: str) -> Path:
        try:
            place = self._root.joinpath(*_parts(path)).resolve()
        except (OSError, RuntimeError) as error:
            raise WorkspaceError(f"{_shown(path)} cannot be followed: {error}") from error
        if not place.is_relative_to(self._root):
            raise WorkspaceError(f"{_shown(path)} leads out of the workspace: it may not be read")
        if _is_hidden(place.relative_to(self._root)):
            raise WorkspaceError(f"{_shown(path)} leads to a hidden file: it may not be read")
        return place

    def _made_folder(self, parts: tuple[str, ...]) -> Path:
        place = self._top
        for part in (*self._artifacts.relative_to(self._top).parts, *parts):
            place /= part
            try:
                place.mkdir(exist_ok=True)
            except OSError as error:
                raise WorkspaceError(f"cannot write there: {error.strerror} ({part})") from error
            if place.is_symlink():
                raise WorkspaceError(f"cannot write there: {part} is a symbolic link")
        return place


def _is_hidden(place: Path) -> bool:
    return any(part.startswith(".") for part in place.parts)


def _parts(path: str) -> tuple[str, ...]:
    if not path.strip() or "\0" in path or "\\" in path:
        raise WorkspaceError(f"{_shown(path)} is not a path: expected names with forward slashes")
    if path.startswith(("/", "~")):
        raise WorkspaceError(f"{_shown(path)} is absolute: expected a path inside the workspace")
    parts = tuple(part for part in PurePosixPath(path).parts if part != ".")
    if ".." in parts:
        raise WorkspaceError(f"{_shown(path)} leads out of the workspace: '..' is not allowed")
    if not parts or any(part.startswith(".") for part in parts):
        raise WorkspaceError(f"{_shown(path)} is a hidden file or folder: agents do not touch those")
    return parts


def _read_regular(place: Path, path: str) -> bytes:
    # Not following and not blocking: what was checked may have become a link or a pipe since.
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise WorkspaceError(f"{_shown(path)} cannot be opened: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise WorkspaceError(f"{_shown(path)} is not a regular file")
        data = file.read(MOST_READ_BYTES + 1)
    if len(data) > MOST_READ_BYTES:
        raise WorkspaceError(
            f"{_shown(path)} has {state.st_size} bytes, the limit for reading is {MOST_READ_BYTES}"
        )
    return data


def _replace(place: Path, data: bytes) -> None:
    # The same name in every attempt: what a crash left behind is overwritten, never collected.
    partial = place.with_name(f".{place.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        partial.replace(place)
    except OSError as error:
        raise WorkspaceError(f"{_shown(place.name)} cannot be written: {error.strerror}") from error


def _shown(path: str) -> str:
    return repr(path if len(path) <= _SHOWN else f"{path[:_SHOWN]}…")
