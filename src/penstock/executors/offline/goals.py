"""From a goal to intents, by rules that must account for every word of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from penstock.executors.offline.counting_rules import COUNTING_RULES
from penstock.executors.offline.intents import Ask, Intent, NotUnderstood
from penstock.executors.offline.lexing import Clause, clauses_of
from penstock.executors.offline.reading_rules import READING_RULES, TARGET, WRITE, WRITE_RULES
from penstock.executors.offline.rules import Reading, Rule
from penstock.executors.offline.search_rules import SEARCH_RULES
from penstock.executors.offline.words import MEASURES, without_options

CAN_DO: Final = """\
list or count files (by kind, pattern or folder); count lines, words, characters, bytes, sentences or \
headings; count how often a 'term' occurs; find the files or lines that mention a 'term', or the file that \
mentions it most; name the longest, shortest, largest or smallest files; compare files by a measure; show \
lines, sections, headings or a whole file; summarise files; give their key words or dangling links; write \
any of these to a file; several of these joined by 'then' or 'and'"""

_MAKING: Final = re.compile(
    r"(?:create|make|produce|generate) (?:a |the )?(?:new |text |markdown )*(?:file|report|document)? ?"
    r"(?:called |named )?(?P<target>\u27e6[qf]\d+\u27e7) (?:with|containing|listing|that (?:lists"
    r"|contains|has)|of)"
    r" (?P<what>.+)"
)
_WRITING: Final = re.compile(rf"(?:(?P<write>{WRITE}) )?(?P<what>.+?) (?P<rest>{TARGET})")
_MEASURES_OF: Final = re.compile(rf"(?:the )?(?:number of )?{MEASURES} (?:in|of) ")
_INTO: Final = re.compile(r"(?:in)?to ")


_RULES: Final = (*WRITE_RULES, *SEARCH_RULES, *COUNTING_RULES, *READING_RULES)


def understand(goal: str) -> list[tuple[Clause, Intent]]:
    """The requests of a goal, in order; raises ``NotUnderstood`` naming the first that is unclear."""
    found: list[tuple[Clause, Intent]] = []
    for clause in clauses_of(goal):
        before = found[-1][1].ask if found else None
        found.extend(_readings(_completed(clause, before)))
    if not found:
        raise NotUnderstood("the goal asks for nothing")
    for number, (clause, intent) in enumerate(found):
        if number == 0 and (intent.files.earlier or _writes_earlier(intent)):
            raise NotUnderstood(f"{clause.said!r} refers to something that comes before it")
    return found


def understand_clause(said: str) -> Intent:
    """The one request of a clause that ``understand`` split off; it may refer to what came before."""
    readings = [intent for clause in clauses_of(said) for _, intent in _readings(clause)]
    if len(readings) != 1:
        raise NotUnderstood(f"{said!r} asks for {len(readings)} things, one was expected")
    return readings[0]


def _completed(clause: Clause, before: Ask | None) -> Clause:
    """After a count, "the lines in b.txt" asks for a count too; alone it says nothing."""
    is_continuation = before is Ask.MEASURE and _MEASURES_OF.match(clause.words)
    return clause.part(f"count {clause.words}") if is_continuation else clause


def _writes_earlier(intent: Intent) -> bool:
    return intent.ask is Ask.WRITE and intent.literal is None


def _readings(clause: Clause) -> Iterator[tuple[Clause, Intent]]:
    whole = _first_match(clause, _RULES)
    split = None if whole else _split_writing(clause)
    if whole is not None:
        yield clause, whole
    elif split is not None:
        yield from ((part, _intent(part)) for part in split)
    else:
        raise NotUnderstood(f"{clause.said!r} is not understood")


def _split_writing(clause: Clause) -> tuple[Clause, Clause] | None:
    """Read "write a summary of x to y" as "a summary of x" and "write it to y"."""
    making = _MAKING.fullmatch(clause.words)
    if making:
        return clause.part(making["what"]), clause.part(f"write it to {making['target']}")
    writing = _WRITING.fullmatch(clause.words)
    if writing is None or not (writing["write"] or _INTO.match(writing["rest"])):
        return None
    return clause.part(writing["what"]), clause.part(f"write it to {writing['target']}")


def _intent(clause: Clause) -> Intent:
    intent = _first_match(clause, _RULES)
    if intent is None:
        raise NotUnderstood(f"{clause.said!r} is not understood")
    return intent


def _first_match(clause: Clause, rules: tuple[Rule, ...]) -> Intent | None:
    plain, match_case, whole_words = without_options(clause)
    for rule in rules:
        match = rule.pattern.fullmatch(plain.words)
        if match is None:
            continue
        try:
            return rule.build(Reading(plain, match, match_case, whole_words))
        except NotUnderstood:
            continue
    return None
