"""Which files a noun phrase means: names, kinds, folders, superlatives, or what an earlier step found."""

from __future__ import annotations

import re
from dataclasses import replace

from penstock.executors.offline.intents import Extreme, NotUnderstood, Selection
from penstock.executors.offline.lexing import FILE, QUOTED, Clause
from penstock.executors.offline.words import (
    KIND,
    MEASURE,
    MENTION,
    NUMBER,
    SUPERLATIVE,
    extreme_of,
    measure_of,
    number_of,
    patterns_of,
    term_of,
)

_NAME = rf"(?:{FILE}|{QUOTED})"
_NAMES = re.compile(
    rf"(?:both |each of |all of )?(?:the )?(?:(?:two |three )?(?:files?|documents?) )?(?:called |named )?"
    rf"(?P<names>{_NAME}(?:(?:, and|,| and| or| &) (?:the )?(?:file )?{_NAME})*)(?: files?|"
    rf" documents?| together)?"
)
_EARLIER = re.compile(
    r"it|them|each|that|this|its|their|(?:that|this|the (?:same|found|resulting|first)|the) (?:file"
    r"|one|document)"
    r"|(?:those|these|all of them|each of (?:them|those)|(?:those|these) (?:files|documents)|both(?: files)?"
    r"|the (?:same|found|resulting) files|each of (?:those|these) files)"
)
_EVERYTHING = re.compile(
    r"everything|(?:all|the|every|each|any)?(?: of)?(?: the)? ?(?:files?|documents?)|all of them"
    r"|(?:the |this )?(?:whole )?(?:workspace|project|folder|directory|collection)|here"
)
_GROUP = re.compile(
    rf"(?:all |every |each |any )?(?:of )?(?:the |my |our )?(?:(?P<kind>{KIND})[- ]?|(?P<glob>{FILE})"
    rf" )?(?:files?|documents?|texts?)"
    rf"(?: (?:ending|that end|which end) (?:in|with) (?P<ending>{_NAME})"
    rf"| with (?:the )?(?:ending|extension|suffix) (?P<extension>{_NAME}|{KIND})"
    rf"| (?:matching|like|named|called) (?P<like>{_NAME})"
    rf"| (?:whose names? (?:contains?|includes?|has|have)|with names? containing) (?P<within>{_NAME})"
    rf"| with (?P<with>{_NAME}) in (?:its|their|the) names?"
    rf"| whose names? (?:starts?|begins?) with (?P<start>{_NAME}))?"
)
_IN_FOLDER = re.compile(
    rf"(?P<rest>.+?) (?:in|inside|within|under|below|of|from) (?:the )?(?:(?:sub)?(?:folder|directory) )?"
    rf"(?P<folder>{_NAME}|[\w.-]+)(?P<said> (?:sub)?(?:folder|directory))?"
)
_HERE = re.compile(
    r"(?P<rest>.+?)(?: (?:in|of|from|inside|across) (?:the |this )?(?:workspace|project|folder|here))"
)
_FOLDER_ALONE = re.compile(
    rf"(?:(?:everything|all(?: the)? files|the files) (?:in|under|inside) )?(?:the )?(?:"
    rf"(?:folder|directory) (?P<after>{_NAME}|[\w.-]+)|(?P<before>{_NAME}|[\w.-]+) (?:folder|directory))"
)
_MENTIONING = re.compile(rf"(?P<rest>.*?files?|.*?documents?) (?:that |which )?{MENTION} (?P<term>.+)")
_EXTREME = re.compile(
    rf"(?:the )?(?:(?P<count>{NUMBER}) )?(?P<super>{SUPERLATIVE}) (?P<rest>(?:{KIND} |{FILE}"
    rf" )?(?:files?|documents?|one|ones))"
    rf"(?: (?:by|in) (?:number of |its |their )?(?P<by>{MEASURE}|size|length))?(?P<where> (?:in|of"
    rf"|under|from) .+)?"
)
_MOST_OF = re.compile(
    rf"(?:the )?(?P<rest>(?:{KIND} |{FILE} )?(?:file|document)) (?:that has |which has |with )(?:the )?"
    rf"(?P<how>most|fewest|least|highest number of|largest number of) (?P<by>{MEASURE})(?P<where>"
    rf" (?:in|of|under) .+)?"
)
_OFTEN = re.compile(r" (?:the )?(?P<how>most|least)(?: often| frequently)?\Z")
_STEM = re.compile(r"(?:the )?(?:file |document )?(?:called |named )?(?P<stem>[\w-]+)(?: file| document)?")
_NO_STEM = frozenset(
    [
        "file",
        "files",
        "document",
        "documents",
        "unique",
        "different",
        "it",
        "them",
        "that",
        "this",
        "most",
        "least",
        "average",
        "mean",
        "median",
        "all",
        "any",
        "every",
        "total",
        "line",
        "lines",
        "word",
        "words",
        "link",
        "links",
        "number",
        "each",
        "everything",
        "both",
        "longest",
        "shortest",
        "largest",
        "same",
    ]
)


def selection_of(clause: Clause, words: str) -> Selection:
    """The files that ``words`` mean; raises ``NotUnderstood`` when any of the words is not understood."""
    words = words.strip(" ,")
    for reader in (_simple, _superlative, _mentioning, _group):
        found = reader(clause, words)
        if found is not None:
            return found
    here = _HERE.fullmatch(words)
    if here:
        return selection_of(clause, here["rest"])
    inside = _IN_FOLDER.fullmatch(words)
    if inside:
        return replace(selection_of(clause, inside["rest"]), folder=_named(clause, inside["folder"]))
    stem = _STEM.fullmatch(words)
    if stem and stem["stem"] not in _NO_STEM:
        return Selection(names=(stem["stem"],))
    raise NotUnderstood(f"{clause.spoken(words)!r} is not understood as files")


def _simple(clause: Clause, words: str) -> Selection | None:
    if _EARLIER.fullmatch(words):
        return Selection(earlier=True)
    if _EVERYTHING.fullmatch(words):
        return Selection()
    alone = _FOLDER_ALONE.fullmatch(words)
    if alone:
        return Selection(folder=_named(clause, alone["after"] or alone["before"]))
    names = _NAMES.fullmatch(words)
    if names:
        said = tuple(clause.text(one) for one in re.findall(_NAME, names["names"]))
        are_patterns = all("*" in name or "?" in name for name in said)
        return Selection(patterns=said) if are_patterns else Selection(names=said)
    return None


def _superlative(clause: Clause, words: str) -> Selection | None:
    found = _EXTREME.fullmatch(words)
    if found:
        by = {"size": "bytes", "length": "lines"}.get(found["by"], found["by"])
        count = number_of(found["count"]) if found["count"] else 1
        extreme = extreme_of(found["super"], measure_of(by) if by else None, count)
    else:
        found = _MOST_OF.fullmatch(words)
        if found is None:
            return None
        extreme = Extreme(measure_of(found["by"]), found["how"] not in {"fewest", "least"})
    rest = re.sub(r"\bones?\b", "files", found["rest"])
    return replace(selection_of(clause, f"{rest}{found['where'] or ''}"), extreme=extreme)


def _mentioning(clause: Clause, words: str) -> Selection | None:
    found = _MENTIONING.fullmatch(words)
    if found is None or _GROUP.fullmatch(words):
        return None
    term, _, where = found["term"].partition(" in ")
    rest = f"{found['rest']} in {where}" if where else found["rest"]
    often = _OFTEN.search(term)
    extreme = Extreme("occurrences", often["how"] == "most") if often else None
    mentioning = term_of(clause, _OFTEN.sub("", term), match_case=False, whole_words=None)
    # Singular as it may be, "the file that mentions x" is to be found among all of them.
    group = re.sub(r"\A(?:the|that|any) (?=(?:file|document)\b)", "", rest)
    return replace(selection_of(clause, group), mentioning=mentioning, extreme=extreme)


def _group(clause: Clause, words: str) -> Selection | None:
    found = _GROUP.fullmatch(words)
    if found is None:
        return None
    if found["kind"]:
        return Selection(patterns=patterns_of(found["kind"]))
    if found["glob"]:
        return Selection(patterns=(clause.text(found["glob"]),))
    for group, shape in (
        ("ending", "*{}"),
        ("like", "{}"),
        ("within", "*{}*"),
        ("with", "*{}*"),
        ("start", "{}*"),
    ):
        if found[group]:
            return Selection(patterns=(shape.format(clause.text(found[group])),))
    extension = found["extension"]
    if extension:
        plain = clause.text(extension) if extension.startswith("\u27e6") else extension
        return Selection(patterns=(f"*.{plain.lstrip('*.')}",))
    return Selection()


def _named(clause: Clause, words: str) -> str:
    name = clause.text(words) if words.startswith("\u27e6") else words
    if not words.startswith("\u27e6") and words in _NO_STEM:
        raise NotUnderstood(f"{words!r} is not understood as a folder")
    return name.rstrip("/")
