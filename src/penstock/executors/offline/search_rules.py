"""Rules for terms: where they stand, how often, and where most often."""

from __future__ import annotations

from typing import Final

from penstock.executors.offline.intents import Ask, Intent
from penstock.executors.offline.rules import LEAD, Reading, Rule, rule
from penstock.executors.offline.selecting import selection_of
from penstock.executors.offline.words import KIND, MENTION, OCCUR, OCCURRENCES

_FILES = rf"(?P<kind>(?:{KIND} )?(?:files?|documents?))"
_ONE = rf"(?P<kind>(?:{KIND} )?(?:file|document|one))"
_MOST = r"(?:the )?(?P<most>most|least|fewest)(?: often| frequently| times| of all)?"
_IN = r"(?: (?:in|of|among|across|within|throughout|inside|from) (?P<sel>.+))?"
_TERM, _TERM2 = r"(?P<term>.+?)", r"(?P<term2>.+?)"


def _kind_and_place(reading: Reading) -> str:
    kind, place = reading.part("kind").replace("one", "file") or "files", reading["sel"]
    return f"{kind}s in {place}".replace("ss in", "s in") if place else kind


def _files(reading: Reading, ask: Ask) -> Intent:

    words = reading["sel"]
    kind = reading.part("kind")
    if words and kind in {"", "file", "files", "document", "documents", "one"}:
        return Intent(ask, reading.files, term=reading.term, most=reading["most"] in {None, "most"})
    files = (
        selection_of(reading.clause, _kind_and_place(reading)) if kind and kind != "one" else reading.files
    )
    return Intent(ask, files, term=reading.term, most=reading["most"] in {None, "most"})


def _most(reading: Reading) -> Intent:
    return _files(reading, Ask.MENTIONS_MOST)


def _mentions(reading: Reading) -> Intent:
    return _files(reading, Ask.MENTIONS)


def _count_mentioning(reading: Reading) -> Intent:
    return _files(reading, Ask.COUNT_MENTIONING)


def _occurrences(reading: Reading) -> Intent:
    return _files(reading, Ask.OCCURRENCES)


def _lines(reading: Reading) -> Intent:
    return _files(reading, Ask.LINES_WITH)


def _count_lines(reading: Reading) -> Intent:
    return _files(reading, Ask.COUNT_LINES_WITH)


#: The rules, the more particular ones first.
SEARCH_RULES: Final[tuple[Rule, ...]] = (
    rule(
        rf"(?:in )?(?:which|what) {_ONE} (?:{MENTION} {_TERM}|(?:does|is) {_TERM2} {OCCUR}) {_MOST}{_IN}",
        _most,
    ),
    rule(rf"{LEAD}{_ONE} (?:that |which |where )?{MENTION} {_TERM} {_MOST}{_IN}", _most),
    rule(
        rf"(?:(?:which|what) |{LEAD}){_ONE} (?:has|with|containing|that has|which has) (?:the )?"
        rf"(?P<most>most|fewest|least) {OCCURRENCES} of {_TERM}{_IN}",
        _most,
    ),
    rule(rf"where (?:is|does|do|are) {_TERM} {OCCUR} {_MOST}{_IN}", _most),
    rule(rf"how many {_FILES} (?:that |which )?(?:{MENTION}) {_TERM}{_IN}", _count_mentioning),
    rule(
        rf"(?:count|number of) (?:the |all |all the )?{_FILES} (?:that |which )?{MENTION} {_TERM}{_IN}",
        _count_mentioning,
    ),
    rule(rf"in how many {_FILES} (?:does|is|do|are) {_TERM} {OCCUR}{_IN}", _count_mentioning),
    rule(rf"how many lines (?:(?:in|of) (?P<sel>.+?) )(?:{MENTION}) {_TERM}", _count_lines),
    rule(rf"how many lines (?:that |which )?{MENTION} {_TERM}{_IN}", _count_lines),
    rule(
        rf"(?:count|number of) (?:the |all |all the )?lines (?:that |which )?{MENTION} {_TERM}{_IN}",
        _count_lines,
    ),
    rule(
        rf"(?:count|number of) (?:the |all |all the )?lines (?:in|of) (?P<sel>.+?) (?:that |which"
        rf" )?{MENTION} {_TERM}",
        _count_lines,
    ),
    rule(rf"(?:{LEAD}|which )lines (?:that |which )?{MENTION} {_TERM}{_IN}", _lines),
    rule(rf"(?:{LEAD}|which )lines (?:in|of|from) (?P<sel>.+?) (?:that |which )?{MENTION} {_TERM}", _lines),
    rule(
        rf"(?:count )?how (?:often|many times|frequently) (?:does|is|do|are) {_TERM} {OCCUR}{_IN}",
        _occurrences,
    ),
    rule(rf"(?:count )?how (?:often|many times|frequently) {_TERM} (?:is |are )?{OCCUR}{_IN}", _occurrences),
    rule(
        rf"how (?:often|many times|frequently) (?:does|do) (?P<sel>.+?) (?:mention|contain|use"
        rf"|include|refer to) {_TERM}",
        _occurrences,
    ),
    rule(
        rf"(?:count|how many|{LEAD}(?:total )?(?:number|count) of) (?:the |all |all the"
        rf" )?{OCCURRENCES} of {_TERM}"
        rf"(?: (?:are there|there are|exist|are))?{_IN}",
        _occurrences,
    ),
    rule(rf"how many {OCCURRENCES} of {_TERM} (?:does|do) (?P<sel>.+?) (?:have|contain)", _occurrences),
    rule(
        rf"(?:count|how many times) (?P<term>(?:the (?:word|term|phrase|string)"
        rf" )?\u27e6q\d+\u27e7|the (?:word|term|phrase|string) \S+)"
        rf"{_IN}",
        _occurrences,
    ),
    rule(
        rf"(?:in )?(?:which|what) {_FILES} (?:{MENTION} {_TERM}|(?:does|is|do|are) {_TERM2}"
        rf" {OCCUR}){_IN}",
        _mentions,
    ),
    rule(rf"(?:{LEAD}|search for |look for ){_FILES} (?:that |which )?{MENTION} {_TERM}{_IN}", _mentions),
    rule(rf"where (?:is|does|do|are) {_TERM} {OCCUR}{_IN}", _mentions),
    rule(
        rf"(?:search|grep|look|scan|check) (?:for )?(?P<term>(?:the (?:word|term|phrase|string)"
        rf" )?\u27e6q\d+\u27e7){_IN}",
        _mentions,
    ),
    rule(
        rf"(?:search|grep|look|scan|check|look through|look in|search in|search through)"
        rf" (?P<sel>.+?) for {_TERM}",
        _mentions,
    ),
    rule(rf"(?:search|look) for {_TERM}{_IN}", _mentions),
    rule(rf"{LEAD}{OCCURRENCES} of {_TERM}{_IN}", _mentions),
    rule(rf"find (?P<term>(?:the (?:word|term|phrase|string) )?\u27e6q\d+\u27e7){_IN}", _mentions),
)
