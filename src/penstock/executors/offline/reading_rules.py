"""Rules for what stands in files: lines, sections, summaries, key words, links; and for writing."""

from __future__ import annotations

from typing import Final

from penstock.executors.offline.intents import Ask, Intent, NotUnderstood
from penstock.executors.offline.lexing import FILE, QUOTED
from penstock.executors.offline.rules import LEAD, Reading, Rule, rule
from penstock.executors.offline.words import NUMBER, ORDINAL, number_of

_NAME = rf"(?:{FILE}|{QUOTED})"
_FROM = r"(?:of|in|from|for|on)"
_SHOW = r"(?:show|print|read|display|give|get|quote|output|dump|what (?:is|are)|what's)(?: me| us)? "
_SENTENCES = rf"(?: (?:in|with|using|to) (?:about |at most |only )?(?P<n>{NUMBER}|a|a single) sentences?)?"
_KEY_WORDS = (
    r"(?:key[ -]?words?|key[ -]?phrases?|key[ -]?terms?|main (?:topics|terms|words)|important (?:words"
    r"|terms|phrases)|topics)"
)
_LINKS = (
    r"(?:(?:dangling|broken|dead|missing|bad) (?:local |relative |internal )?links?|links? that (?:lead"
    r" nowhere|are (?:broken|dead|dangling)|do not work))"
)


def _number(words: str | None) -> int | None:
    if words is None:
        return None
    return 1 if words in {"a", "a single"} else number_of(words)


def _edge_lines(reading: Reading) -> Intent:
    count = _number(reading["n"]) or 1
    if reading["edge"] == "first":
        return Intent(Ask.SHOW_LINES, reading.files, first=1, last=count)
    return Intent(Ask.SHOW_LINES, reading.files, first=-count, last=-1)


def _lines(reading: Reading) -> Intent:
    first = number_of(reading.part("first"))
    last = number_of(reading.part("last")) if reading.has("last") else first
    return Intent(Ask.SHOW_LINES, reading.files, first=first, last=last)


def _file(reading: Reading) -> Intent:
    files = reading.files
    if not (files.names or files.extreme or files.earlier or files.mentioning):
        raise NotUnderstood(f"{reading.clause.said!r} does not say which file to show")
    return Intent(Ask.SHOW_FILE, files)


def _section(reading: Reading) -> Intent:
    return Intent(Ask.SECTION, reading.files, term=reading.term)


def _headings(reading: Reading) -> Intent:
    return Intent(Ask.HEADINGS, reading.files)


def _summary(reading: Reading) -> Intent:
    return Intent(Ask.SUMMARY, reading.files, number=_number(reading["n"]))


def _key_words(reading: Reading) -> Intent:
    return Intent(Ask.KEY_WORDS, reading.files, number=_number(reading["n"]))


def _links(reading: Reading) -> Intent:
    return Intent(Ask.DANGLING, reading.files)


def _write_earlier(reading: Reading) -> Intent:
    what = reading.part("what")
    everything = bool({"all", "everything", "results", "both", "answers"} & set(what.split()))
    return Intent(Ask.WRITE, target=_target(reading), everything=everything)


def _write_literal(reading: Reading) -> Intent:
    return Intent(Ask.WRITE, target=_target(reading), literal=reading.clause.text(reading.part("literal")))


def _target(reading: Reading) -> str:
    return reading.clause.text(reading.part("target"))


TARGET = (
    rf"(?:to|into|in|as|under|at) (?:a |the )?(?:new |text |markdown |output )*(?:file )?(?:called |named"
    rf" )?(?P<target>{_NAME})(?: file)?"
)
WRITE = r"(?:write|save|store|put|export|record|output|dump|append)(?: down)?"
_RESULT = (
    r"(?P<what>it|that|this|them|these|those|everything|both|(?:all |both )?(?:of )?(?:the|these"
    r"|those|your|its|that|this)?(?: (?:final|whole|full|two|three))?"
    r" ?(?:results?|answers?|summary|summaries|list|output|key ?words|numbers?|counts?|lines?|section"
    r"|findings?|text|table|comparison|total|report|names?|links?|files?))"
)


#: Rules for writing what earlier steps found, or a text that is given.
WRITE_RULES: Final[tuple[Rule, ...]] = (
    rule(rf"{WRITE} (?:the (?:text|words?|line|string) )?(?P<literal>{QUOTED}) {TARGET}", _write_literal),
    rule(rf"{WRITE} {_RESULT} {TARGET}", _write_earlier),
    rule(rf"{WRITE} {TARGET}", _write_earlier),
    rule(
        rf"(?:create|make|produce) (?:a |the )?(?:new |text )?(?:file |report )?(?:called |named"
        rf" )?(?P<target>{_NAME}) (?:with|containing|from|of|out of) {_RESULT}",
        _write_earlier,
    ),
)


_WHAT = rf"(?:(?:{_SHOW}|list )?(?:the )?|what (?:is|are) the )"
#: The rules, the more particular ones first.
READING_RULES: Final[tuple[Rule, ...]] = (
    rule(
        rf"{_WHAT}(?P<edge>first|last) (?:(?P<n>{NUMBER}) )?lines? {_FROM} (?P<sel>.+?)(?: say| read)?",
        _edge_lines,
    ),
    rule(
        rf"what (?:does|do) the (?P<edge>first|last) (?:(?P<n>{NUMBER}) )?lines? {_FROM}"
        rf" (?P<sel>.+?) (?:say|read|contain)",
        _edge_lines,
    ),
    rule(
        rf"{_WHAT}lines? (?:number |numbers )?(?P<first>{NUMBER})(?: ?(?:to|-|\u2013|through|until"
        rf"|and) ?(?:line )?(?P<last>{NUMBER}))? {_FROM} (?P<sel>.+?)",
        _lines,
    ),
    rule(
        rf"what (?:does|do|is|are) (?:on |in )?lines? (?P<first>{NUMBER})(?: ?(?:to|-|\u2013"
        rf"|through|and) ?(?P<last>{NUMBER}))? {_FROM} (?P<sel>.+?) (?:say|read|contain)",
        _lines,
    ),
    rule(rf"what (?:is|stands) on lines? (?P<first>{NUMBER}) {_FROM} (?P<sel>.+?)", _lines),
    rule(rf"{_WHAT}(?P<first>{ORDINAL}) line {_FROM} (?P<sel>.+?)", _lines),
    rule(rf"what does the (?P<first>{ORDINAL}) line {_FROM} (?P<sel>.+?) (?:say|read)", _lines),
    rule(
        rf"{LEAD}(?:headings|sections|titles|outline|table of contents|section (?:titles"
        rf"|headings)) {_FROM} (?P<sel>.+)",
        _headings,
    ),
    rule(r"(?:which|what) (?:headings|sections) (?:does|do) (?P<sel>.+?) have", _headings),
    rule(
        rf"what (?:does|do) (?:the )?section (?:called |named |titled |on |about )?(?P<term>.+?)"
        rf" {_FROM} (?P<sel>.+?) (?:say|contain)",
        _section,
    ),
    rule(rf"what (?:does|do) (?:the )?(?P<term>.+?) section {_FROM} (?P<sel>.+?) (?:say|contain)", _section),
    rule(
        rf"{_WHAT}section (?:called |named |titled |on |about )?(?P<term>.+?) {_FROM} (?P<sel>.+?)",
        _section,
    ),
    rule(rf"{_WHAT}(?P<term>.+?) section {_FROM} (?P<sel>.+?)", _section),
    rule(rf"(?:summari[sz]e|sum up|condense) (?:the contents? of )?(?P<sel>.+?){_SENTENCES}", _summary),
    rule(
        rf"{LEAD}(?:short |brief |concise |quick )?(?:(?P<n>{NUMBER})[- ]sentence )?(?:short"
        rf" )?summar(?:y|ies) {_FROM} (?P<sel>.+?)",
        _summary,
    ),
    rule(
        rf"{LEAD}(?:short |brief |concise |quick )?summar(?:y|ies) {_FROM} (?P<sel>.+?){_SENTENCES}",
        _summary,
    ),
    rule(rf"{LEAD}summary,? {_SENTENCES.strip()},? {_FROM} (?P<sel>.+?)", _summary),
    rule(r"what (?:is|are) (?P<sel>.+?) (?:all )?about", _summary),
    rule(
        rf"{LEAD}(?:(?:top|best|main|most important) )?(?:(?P<n>{NUMBER}) )?(?:(?:top|best|main"
        rf"|most important) )?{_KEY_WORDS} {_FROM} (?P<sel>.+?)",
        _key_words,
    ),
    rule(
        rf"(?:which|what) (?:are )?(?:the )?{_KEY_WORDS} (?:does|do|describe|{_FROM})"
        rf" (?P<sel>.+?)(?: have)?",
        _key_words,
    ),
    rule(
        rf"(?:{LEAD}|check (?:for )?|are there |count |how many )(?:any |the |all )?{_LINKS}(?:"
        rf" are there| there are)?(?: {_FROM} (?P<sel>.+?))?",
        _links,
    ),
    rule(rf"(?:check|verify|test) (?:all |the |all the )?(?:local )?links {_FROM} (?P<sel>.+?)", _links),
    rule(rf"(?:check|verify|test|search|scan) (?P<sel>.+?) for (?:any )?{_LINKS}", _links),
    rule(
        rf"(?:which|what) (?:local )?links {_FROM} (?P<sel>.+?) (?:are (?:broken|dead|dangling)"
        rf"|lead nowhere|do not work|dangle)",
        _links,
    ),
    rule(rf"(?:does|do) (?P<sel>.+?) have (?:any )?{_LINKS}", _links),
    rule(rf"(?:which|what) (?:files|documents) have {_LINKS}", _links),
    rule(rf"{_SHOW}(?:the )?(?:whole |full |entire )?(?:contents?|text) {_FROM} (?P<sel>.+)", _file),
    rule(rf"{_SHOW}(?P<sel>.+)", _file),
    rule(r"what (?:does|do) (?P<sel>.+?) (?:say|contain)", _file),
    rule(r"what (?:is|stands) in (?P<sel>.+)", _file),
)
