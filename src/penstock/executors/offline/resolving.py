"""From the files that are meant to the files that are there, by asking the tools."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from penstock.executors.offline.intents import Extreme, Selection, Term
from penstock.executors.offline.working import Call, CannotDo, Earlier

Paths: TypeAlias = Generator[Call, dict[str, Any], "Resolved"]
MOST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Resolved:
    """The paths that a selection came to, and whether it named each of them."""

    paths: tuple[str, ...]
    named: bool = False


def resolve(files: Selection, earlier: Sequence[Earlier]) -> Paths:
    """The files that a selection means; raises ``CannotDo`` when there are none, or too many fit a name."""
    found = yield from _candidates(files, earlier)
    if files.mentioning is not None:
        counts = yield from _mentions(found.paths, files.mentioning)
        if not counts:
            raise CannotDo(f"no file mentions {files.mentioning.text!r}")
        if files.extreme is None:
            return Resolved(tuple(counts))
        return Resolved(best(counts, files.extreme))
    if files.extreme is not None:
        measured = yield Call("measure_files", {"paths": list(found.paths), "measure": files.extreme.measure})
        values = {one["path"]: one["value"] for one in measured["files"]}
        return Resolved(best(values, files.extreme))
    return found


def best(values: dict[str, int], extreme: Extreme) -> tuple[str, ...]:
    """The paths with the most or least, best first; those that tie with the last one belong to them."""
    order = sorted(values, key=lambda path: (-values[path] if extreme.most else values[path], path))
    if len(order) <= extreme.count:
        return tuple(order)
    last = values[order[extreme.count - 1]]
    return tuple(path for place, path in enumerate(order) if place < extreme.count or values[path] == last)


def _candidates(files: Selection, earlier: Sequence[Earlier]) -> Paths:
    if files.earlier:
        found = next((step.files for step in reversed(earlier) if step.files), ())
        if not found:
            raise CannotDo("the steps before this one found no file that it could be about")
        return Resolved(found, named=True)
    if not files.names:
        return (yield from _group(files))
    paths: dict[str, None] = {}
    for name in files.names:
        paths.update(dict.fromkeys((yield from _named(name, files.folder, earlier))))
    return Resolved(tuple(paths), named=len(paths) == len(files.names))


def _group(files: Selection) -> Paths:
    paths: set[str] = set()
    for pattern in files.patterns or ("**",):
        below = f"**/{pattern}".replace("**/**", "**")
        listed = yield from _listed(f"{files.folder}/{below}" if files.folder else pattern)
        if files.folder and not listed:
            listed = yield from _listed(f"**/{files.folder}/{below}")
        paths.update(listed)
    if not paths:
        kinds = ", ".join(files.patterns)
        where = f" in the folder {files.folder!r}" if files.folder else ""
        raise CannotDo(f"there are no files{f' that match {kinds}' if kinds else ''}{where}")
    return Resolved(tuple(sorted(paths)))


def _named(
    name: str, folder: str | None, earlier: Sequence[Earlier]
) -> Generator[Call, dict[str, Any], list[str]]:
    plain = name.removeprefix("./").rstrip("/")
    wanted = f"{folder}/{plain}" if folder else plain
    listed = yield from _listed(wanted)
    if not listed and any(plain in step.files for step in earlier):
        return [plain]
    if not listed and "*" not in plain:
        listed = yield from _listed(f"{wanted}/**")
        if listed:
            return listed
        listed = yield from _listed(f"{wanted}.*")
    if not listed:
        raise CannotDo(f"there is no file {wanted!r}")
    if "*" in plain or "?" in plain or len(listed) == 1:
        return listed
    exact = [path for path in listed if path == wanted]
    if not exact:
        raise CannotDo(f"{wanted!r} could be any of {', '.join(listed[:MOST_SHOWN])}: say which one is meant")
    return exact


def _listed(pattern: str) -> Generator[Call, dict[str, Any], list[str]]:
    result = yield Call("list_files", {"pattern": pattern})
    return [one["path"] for one in result["files"]]


def _mentions(paths: Sequence[str], term: Term) -> Generator[Call, dict[str, Any], dict[str, int]]:
    result = yield search(paths, term)
    return {one["path"]: one["count"] for one in result["files"]}


def search(paths: Sequence[str], term: Term) -> Call:
    """The call that looks for a term."""
    return Call(
        "search_files",
        {
            "term": term.text,
            "paths": list(paths),
            "whole_words": term.whole_words,
            "match_case": term.match_case,
        },
    )
