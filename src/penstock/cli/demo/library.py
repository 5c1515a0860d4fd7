"""The texts that the demo's agents work on: a copy of them, and one large text made of all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import penstock
from penstock.core.errors import ConfigurationError
from penstock.executors.documents import decode_text

LARGE_NAME: Final = "all-texts.txt"
LARGE_BYTES: Final = 6 * 1024 * 1024
_EXAMPLES: Final = "examples"


@dataclass(frozen=True, slots=True)
class Library:
    """The folder that agents see, and how many texts of how many bytes were put there."""

    folder: Path
    count: int
    size_bytes: int


def examples_folder() -> Path:
    """Where Penstock's own examples are: in the package, or beside it in a clone."""
    package = Path(penstock.__file__).resolve().parent
    candidates = (package / _EXAMPLES, package.parents[1] / _EXAMPLES)
    return next((one for one in candidates if one.is_dir()), candidates[-1])


def lay_out(texts: Path, folder: Path) -> Library:
    """Copy the texts to `folder` and add a large one that repeats them.

    The large one is there so that a step over it lasts long enough to be seen and interrupted. Raises
    `ConfigurationError` when there is no text.
    """
    if not texts.is_dir():
        raise ConfigurationError(f"there is no folder {texts}: name one with texts by --texts")
    shutil.copytree(texts, folder, ignore=shutil.ignore_patterns(".*"))
    found = dict(_texts(folder))
    if not any(found.values()):
        raise ConfigurationError(f"{texts} has no text file: expected some documents to work on")
    _write_large(list(found.values()), folder / LARGE_NAME)
    return Library(folder, len(found), sum(path.stat().st_size for path in found))


def _texts(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and (text := decode_text(path.read_bytes())):
            yield path, text


def _write_large(texts: list[str], path: Path) -> None:
    shelf = ("\n\n".join(texts) + "\n\n").encode()
    with path.open("wb") as file:
        for _ in range(max(1, LARGE_BYTES // len(shelf))):
            file.write(shelf)
