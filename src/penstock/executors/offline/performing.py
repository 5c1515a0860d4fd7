"""What the offline model does for each kind of request about numbers and terms, call by call."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, TypeAlias

from penstock.executors.offline.intents import Ask, Extreme, Intent, Term
from penstock.executors.offline.phrasing import counted, joined, skipped_note, term_said
from penstock.executors.offline.resolving import best, resolve, search
from penstock.executors.offline.working import Call, CannotDo, Done, Earlier, Work

Performer: TypeAlias = Callable[[Intent, Sequence[Earlier]], Work]
Values: TypeAlias = Generator[Call, dict[str, Any], tuple[dict[str, dict[str, int]], list[dict[str, Any]]]]
MOST_LINES: Final = 200
FEWEST_TO_COMPARE: Final = 2


def list_files(intent: Intent, earlier: Sequence[Earlier]) -> Work:
    """Name the files."""
    found = yield from resolve(intent.files, earlier)
    lines = [f"{counted(len(found.paths), 'files')}:", *found.paths]
    return Done("\n".join(lines), found.paths)


def count_files(intent: Intent, earlier: Sequence[Earlier]) -> Work:
    """Say how many files there are; none is an answer too."""
    try:
        found = yield from resolve(intent.files, earlier)
    except CannotDo as none:
        if not str(none).startswith("there are no files"):
            raise
        return Done(f"0 files: {none}.")
    return Done(f"{counted(len(found.paths), 'files')}.", found.paths)


def measure(intent: Intent, earlier: Sequence[Earlier]) -> Work:
    """Count lines, words and so on, of each file and together."""
    found = yield from resolve(intent.files, earlier)
    values, skipped = yield from _values(found.paths, intent.measures)
    lines = [f"{path}: {_list_of(counts)}" for path, counts in values.items()]
    if len(values) > 1:
        totals = {name: sum(counts[name] for counts in values.values()) for name in intent.measures}
        lines.append(f"Total: {_list_of(totals)} in {counted(len(values), 'files')}")
    return Done("\n".join([*lines, *skipped_note(skipped)]), tuple(values))


def occurrences(intent: Intent, earlier: Sequence[Earlier]) -> Work:
    """Count how often a term occurs."""
    found = yield from resolve(intent.files, earlier)
    term = _term(intent)
    result = yield search(found.paths, term)
    times = counted(result["total"], "times")
    lines = [f"{term_said(term)} occurs {times} in {_searched(found.paths, result)}."]
    if len(found.paths) > 1:
        lines += [f"{one['path']}: {one['count']}" for one in result["files"]]
    files = tuple(one["path"] for one in result["files"])
    return Done("\n".join([*lines, *skipped_note(result["skipped"])]), files or found.paths)


def mentions(intent: Intent, earlier: Sequence[Earlier]) -> Work:
    """Name the files that mention a term, and how often."""
    found = yield from resolve(intent.files, earlier)
    term = _term(intent)
    result = yield search(found.paths, term)
    note = skipped_note(result["skipped"])
    if not result["files"]:
        return Done("\n".join([f"No file of {result['searched']} mentions {term_said(term)}.", *note]))
    files = tuple(one["path"] for one in result["files"])
    verb = "mentions" if len(files) == 1 else "mention"
    head = f"{counted(len(files), 'files')} of {result['searched']} {verb} {term_said(term)}:"
    lines = [f"{one['path']}: {counted(one['count'], 'times')}" for one in result["files"]]
    return Done("\n".join([head, *lines, *note]), files)


def lines_with(intent: Intent, earlier: Sequence[Earlier]) -> Work:
    """Show the lines on which a term stands."""
    found = yield from resolve(intent.files, earlier)
    term = _term(intent)
    result = yield search(found.paths, term)
    total = sum(one["lines_found"] for one in result["files"])
    if not total:
        return Done(f"No line of {_searched(found.paths, result)} has {term_said(term)}.")
    verb = "has" if total == 1 else "have"
    lines = [f"{counted(total, 'lines')} in {_searched(found.paths, result)} {verb} {term_said(term)}:"]
    for one in result["files"]:
        lines += [f"{one['path']}:{line['line']}: {line['text']}" for line in one["lines"]]
        if one["lines_found"] > len(one["lines"]):
            lines.append(f"{one['path']}: {one['lines_found'] - len(one['lines'])} more")
    files = tuple(one["path"] for one in result["files"])
    return Done("\n".join([*lines[:MOST_LINES], *skipped_note(result["skipped"])]), files)


def count_lines_with(intent: Intent, earlier: Sequence[Earlier]) -> Work:
    """Say on how many lines a term stands."""
    found = yield from resolve(intent.files, earlier)
    term = _term(intent)
    result = yield search(found.paths, term)
    total = sum(one["lines_found"] for one in result["files"])
    verb = "has" if total == 1 else "have"
    said = f"{counted(total, 'lines')} in {_searched(found.paths, result)} {verb} {term_said(term)}."
    return Done("\n".join([said, *skipped_note(result["skipped"])]), found.paths)


def mentions_most(intent: Intent, earlier: Sequence[Earlier]) -> Work:
    """Name the file that mentions a term most often, or of those that do, least often."""
    found = yield from resolve(intent.files, earlier)
    term = _term(intent)
    result = yield search(found.paths, term)
    counts = {one["path"]: one["count"] for one in result["files"]}
    if not counts:
        return Done(f"No file of {result['searched']} mentions {term_said(term)}.")
    chosen = best(counts, Extreme("occurrences", intent.most))
    how = "most often" if intent.most else "least often of those that mention it"
    verb = "mentions" if len(chosen) == 1 else "mention"
    times = counted(counts[chosen[0]], "times")
    said = (
        f"{joined(chosen)} {verb} {term_said(term)} {how} often: {times}{' each' if len(chosen) > 1 else ''}."
    )
    return Done("\n".join([said, *skipped_note(result["skipped"])]), chosen)


def extreme(intent: Intent, earlier: Sequence[Earlier]) -> Work:
    """Name the files with the most or least of a measure."""
    found = yield from resolve(intent.files, earlier)
    wanted = intent.files.extreme
    if wanted is None or wanted.measure == "occurrences":
        return Done("\n".join(found.paths), found.paths)
    values, _ = yield from _values(found.paths, (wanted.measure,))
    how = "most" if wanted.most else "fewest"
    verb = "has" if len(found.paths) == 1 else "have"
    head = f"{joined(found.paths)} {verb} the {how} {wanted.measure}:"
    if len(found.paths) == 1:
        return Done(f"{head} {values[found.paths[0]][wanted.measure]}.", found.paths)
    lines = [f"{path}: {counted(values[path][wanted.measure], wanted.measure)}" for path in found.paths]
    return Done("\n".join([head, *lines]), found.paths)


def compare(intent: Intent, earlier: Sequence[Earlier]) -> Work:
    """Set files side by side by one or more measures."""
    found = yield from resolve(intent.files, earlier)
    if len(found.paths) < FEWEST_TO_COMPARE:
        raise CannotDo(f"comparing needs at least two files, there is only {joined(found.paths)}")
    values, skipped = yield from _values(found.paths, intent.measures)
    if skipped:
        raise CannotDo("; ".join(one["reason"] for one in skipped))
    lines = [f"{path}: {_list_of(counts)}" for path, counts in values.items()]
    lines += [
        _verdict({path: counts[name] for path, counts in values.items()}, name) for name in intent.measures
    ]
    return Done("\n".join(lines), found.paths)


def _verdict(values: dict[str, int], name: str) -> str:
    order = sorted(values, key=lambda path: (-values[path], path))
    top = [path for path in order if values[path] == values[order[0]]]
    if len(top) == len(order):
        return f"All have the same number of {name}: {values[order[0]]}."
    second = max(value for path, value in values.items() if path not in top)
    lead = values[top[0]] - second
    verb = "has" if len(top) == 1 else "have"
    return f"{joined(top)} {verb} the most {name}: {values[top[0]]}, {lead} more than the next."


def _values(paths: Sequence[str], measures: Sequence[str]) -> Values:
    """Each path's measures, and what had to be left out."""
    values: dict[str, dict[str, int]] = {}
    skipped: list[dict[str, Any]] = []
    for name in measures:
        result = yield Call("measure_files", {"paths": list(paths), "measure": name})
        for one in result["files"]:
            values.setdefault(one["path"], {})[name] = one["value"]
        skipped = skipped or result["skipped"]
    complete = {path: counts for path, counts in values.items() if len(counts) == len(measures)}
    return complete, skipped


def _list_of(counts: dict[str, int]) -> str:
    return joined([counted(value, name) for name, value in counts.items()])


def _searched(paths: Sequence[str], result: dict[str, Any]) -> str:
    return paths[0] if len(paths) == 1 else counted(result["searched"], "files")


def _term(intent: Intent) -> Term:
    if intent.term is None:
        raise CannotDo("no term is named: put what to look for in quotes")
    return intent.term


NUMBERS: Final[dict[Ask, Performer]] = {
    Ask.LIST_FILES: list_files,
    Ask.COUNT_FILES: count_files,
    Ask.MEASURE: measure,
    Ask.OCCURRENCES: occurrences,
    Ask.MENTIONS: mentions,
    Ask.COUNT_MENTIONING: mentions,
    Ask.LINES_WITH: lines_with,
    Ask.COUNT_LINES_WITH: count_lines_with,
    Ask.MENTIONS_MOST: mentions_most,
    Ask.EXTREME: extreme,
    Ask.COMPARE: compare,
}
