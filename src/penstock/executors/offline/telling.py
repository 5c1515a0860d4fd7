"""What the offline model does for requests about what stands in files, and for writing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from penstock.executors.offline.intents import Ask, Intent
from penstock.executors.offline.performing import NUMBERS, Performer
from penstock.executors.offline.phrasing import counted, under_names
from penstock.executors.offline.resolving import resolve
from penstock.executors.offline.working import Call, CannotDo, Done, Earlier, Work

MOST_FILES_READ: Final = 12
WRITE_STEP: Final = "write "


def show_lines(intent: Intent, earlier: Sequence[Earlier]) -> Work:
    """Show some lines of each file."""
    arguments = {"first_line": intent.first, "last_line": intent.last}
    return (yield from _for_each(intent, earlier, "read_file", arguments, _read_text))


def show_file(intent: Intent, earlier: Sequence[Earlier]) -> Work:
    """Show files whole."""
    return (yield from _for_each(intent, earlier, "read_file", {}, _read_text))


def section(intent: Intent, earlier: Sequence[Earlier]) -> Work:
    """Show the section below a heading."""
    heading = intent.term.text if intent.term else ""
    return (
        yield from _for_each(
            intent, earlier, "read_section", {"heading": heading}, lambda one: str(one["text"])
        )
    )


def headings(intent: Intent, earlier: Sequence[Earlier]) -> Work:
    """List the headings of each file."""
    return (yield from _for_each(intent, earlier, "list_headings", {}, _outline))


def summary(intent: Intent, earlier: Sequence[Earlier]) -> Work:
    """Summarise each file."""
    arguments = {"sentences": intent.number or 3}
    return (yield from _for_each(intent, earlier, "summarise_file", arguments, _sentences))


def key_words(intent: Intent, earlier: Sequence[Earlier]) -> Work:
    """Give the key words of each file."""
    arguments = {"limit": intent.number or 8}
    return (yield from _for_each(intent, earlier, "key_words", arguments, _phrases))


def dangling(intent: Intent, earlier: Sequence[Earlier]) -> Work:
    """Name the links that lead nowhere."""
    found = yield from resolve(intent.files, earlier)
    lines: list[str] = []
    files: list[str] = []
    checked = 0
    for path in found.paths:
        report = yield Call("dangling_links", {"path": path}, may_fail=len(found.paths) > 1)
        if "error" in report:
            lines.append(f"Left out: {report['error']}.")
            continue
        checked += 1
        lines += [f"{path}:{one['line']}: {one['target']} ({one['reason']})" for one in report["dangling"]]
        files += [path] if report["dangling"] else []
    total = sum(not line.startswith("Left out: ") for line in lines)
    where = found.paths[0] if len(found.paths) == 1 else counted(checked, "files")
    head = f"{counted(total, 'dangling links')} in {where}{':' if total else '.'}"
    return Done("\n".join([head, *lines]), tuple(files) or found.paths)


def write(intent: Intent, earlier: Sequence[Earlier]) -> Work:
    """Write what the steps before found, or a given text."""
    found = [step.result for step in earlier if not is_write(step.name)]
    text = intent.literal
    if text is None:
        if not found:
            raise CannotDo("there is no result yet that could be written")
        text = "\n\n".join(found) if intent.everything else found[-1]
    name = intent.target or ""
    text = text if text.endswith("\n") else f"{text}\n"
    result = yield Call("write_file", {"name": name, "text": text})
    return Done(f"Wrote {counted(result['size_bytes'], 'bytes')} to {result['name']}.", (result["name"],))


def is_write(step_name: str) -> bool:
    """Whether a step of the offline planner writes what others found."""
    return step_name.partition(". ")[2].startswith(WRITE_STEP)


def _for_each(
    intent: Intent,
    earlier: Sequence[Earlier],
    tool: str,
    arguments: dict[str, Any],
    said: Callable[[dict[str, Any]], str],
) -> Work:
    found = yield from resolve(intent.files, earlier)
    if len(found.paths) > MOST_FILES_READ:
        raise CannotDo(
            f"{len(found.paths)} files are meant, at most {MOST_FILES_READ} can be gone through one by one: "
            "name a folder or a kind of files"
        )
    texts: dict[str, str] = {}
    problems: list[str] = []
    for path in found.paths:
        may_fail = len(found.paths) > 1 and not found.named
        result = yield Call(tool, {"path": path, **arguments}, may_fail=may_fail)
        if "error" in result:
            problems.append(str(result["error"]))
        else:
            texts[path] = said(result)
    if not texts:
        raise CannotDo("; ".join(problems))
    note = f"\n\nLeft out: {'; '.join(problems)}." if problems else ""
    return Done(under_names(texts) + note, tuple(texts))


def _read_text(result: dict[str, Any]) -> str:
    if not result["total_lines"]:
        return "(empty)"
    more = (
        "" if result["complete"] else f"\n(cut off; the file has {counted(result['total_lines'], 'lines')})"
    )
    return f"{result['text']}{more}" or "(an empty line)"


def _outline(result: dict[str, Any]) -> str:
    found = result["headings"]
    if not found:
        return f"{result['path']} has no headings."
    return "\n".join(f"{'  ' * (one['level'] - 1)}{one['title']}" for one in found)


def _sentences(result: dict[str, Any]) -> str:
    return " ".join(result["sentences"]) or f"{result['path']} has no sentences to summarise it by."


def _phrases(result: dict[str, Any]) -> str:
    found = ", ".join(f"{one['phrase']} ({one['count']})" for one in result["key_words"])
    return found or f"{result['path']} has no key words."


PERFORMERS: Final[dict[Ask, Performer]] = {
    **NUMBERS,
    Ask.SHOW_LINES: show_lines,
    Ask.SHOW_FILE: show_file,
    Ask.SECTION: section,
    Ask.HEADINGS: headings,
    Ask.SUMMARY: summary,
    Ask.KEY_WORDS: key_words,
    Ask.DANGLING: dangling,
    Ask.WRITE: write,
}
