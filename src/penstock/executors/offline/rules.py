"""A rule: a pattern for the words of a clause, and how its parts make an intent."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from penstock.executors.offline.intents import Intent, Selection, Term
from penstock.executors.offline.lexing import Clause
from penstock.executors.offline.selecting import selection_of
from penstock.executors.offline.words import term_of

#: Verbs and politeness before a noun phrase.
LEAD = (
    r"(?:(?:show|give|list|find|get|print|name|tell|display|extract|identify|report|determine|compute"
    r"|calculate"
    r"|return|look up|output|read|pick out|what (?:is|are|were)|what's|which (?:is|are)|make|create"
    r"|produce|write"
    r"|see|know|provide|say|quote)(?: me| us)? )?(?:the |a |an |all |any |every |all the |all of the )?"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A clause that fits a rule's pattern, with what its options said."""

    clause: Clause
    match: re.Match[str]
    match_case: bool
    whole_words: bool | None

    def __getitem__(self, group: str) -> str | None:
        return self.match.groupdict().get(group)

    def has(self, group: str) -> bool:
        """Whether the pattern's part is there."""
        return bool(self[group])

    def part(self, group: str) -> str:
        """The words of a part that is there."""
        return self[group] or ""

    @property
    def files(self) -> Selection:
        """The files that part ``sel`` means; all of them when it is not there."""
        words = self["sel"]
        return selection_of(self.clause, words) if words else Selection()

    @property
    def term(self) -> Term:
        """The term that part ``term`` names."""
        return term_of(
            self.clause,
            self["term"] or self.part("term2"),
            match_case=self.match_case,
            whole_words=self.whole_words,
        )


Builder: TypeAlias = Callable[[Reading], Intent]


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern that fits a whole clause, and what it then asks for."""

    pattern: re.Pattern[str]
    build: Builder


def rule(pattern: str, build: Builder) -> Rule:
    """Make a rule; blanks in the pattern are blanks of the clause."""
    return Rule(re.compile(pattern), build)
