"""The words that the offline planner knows, as pieces of regular expressions, and what they mean."""

from __future__ import annotations

import re
from typing import Final

from penstock.executors.offline.intents import Extreme, NotUnderstood, Term
from penstock.executors.offline.lexing import FILE, QUOTED, Clause

_NUMBER_WORDS: Final = {
    word: number
    for number, word in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"], 1
    )
}
_ORDINALS: Final = {
    word: number
    for number, word in enumerate(
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"], 1
    )
}
NUMBER: Final = r"(?:\d{1,6}|" + "|".join(_NUMBER_WORDS) + ")"
ORDINAL: Final = r"(?:\d{1,6}(?:st|nd|rd|th)|" + "|".join(_ORDINALS) + ")"
MEASURE: Final = r"(?:lines?|words?|characters?|chars?|bytes?|sentences?|headings?|sections?)"
MEASURES: Final = rf"{MEASURE}(?:(?:,| and|, and) (?:the )?(?:number of )?{MEASURE})*"
SUPERLATIVE: Final = r"(?:longest|shortest|largest|biggest|smallest)"
MENTION: Final = (
    r"(?:mention(?:s|ing)?|contain(?:s|ing)?|includ(?:es?|ing)|refer(?:s|ring)? to|us(?:es?|ing)|talks? about"
    r"|speaks? of|(?:ha(?:s|ve)|with)(?= (?:the (?:word|term|phrase|string)|\u27e6q)))"
)
OCCUR: Final = (
    r"(?:occurs?|appears?|shows? up|comes? up|turns? up|mentioned|used|found|occurring|present|named)"
)
OCCURRENCES: Final = r"(?:occurrences?|mentions?|appearances?|instances?|uses)"

_KINDS: Final = {
    "markdown": ("*.md", "*.markdown"),
    "md": ("*.md",),
    "text": ("*.txt", "*.text"),
    "txt": ("*.txt",),
    "python": ("*.py",),
    "py": ("*.py",),
    "html": ("*.html", "*.htm"),
    "csv": ("*.csv",),
    "json": ("*.json",),
    "yaml": ("*.yaml", "*.yml"),
    "toml": ("*.toml",),
    "log": ("*.log",),
    "rst": ("*.rst",),
    "restructuredtext": ("*.rst",),
    "javascript": ("*.js",),
    "xml": ("*.xml",),
    "sql": ("*.sql",),
}
KIND: Final = "(?:" + "|".join(sorted(_KINDS, key=len, reverse=True)) + ")"

_MATCH_CASE = re.compile(
    r",? *\(?\b(?:case[- ]sensitive(?:ly)?|matching case|respecting case|with exact case)\b\)?"
)
_ANY_CASE = re.compile(
    r",? *\(?\b(?:case[- ]insensitive(?:ly)?|ignoring case|in any case|regardless of (?:the )?case)\b\)?"
)
_PARTS = re.compile(
    r",? *\(?\b(?:as (?:a )?substrings?|(?:also |even )?(?:inside|within|as part of) (?:longer |other )?words"
    r"|including parts of words)\b\)?"
)
_WHOLE = re.compile(r",? *\(?\b(?:as (?:a )?whole words?|(?:only )?whole words(?: only)?)\b\)?")
_TERM = re.compile(
    rf"(?:the |a |an )?(?P<noun>exact )?(?P<kind>word|words|term|phrase|name|keyword|string|text|substring"
    rf"|letters|characters)? ?(?P<what>{QUOTED}|{FILE}|[^\s,\u27e6]+(?: [^\s,\u27e6]+)?)"
)
#: Words that a plain term may not have: they say how and where to look, not what for.
_NO_TERM_LIST: Final = """
a about all an and any anything are as at average be both but by can characters bytes chars content
contents did different different do does duplicate each empty equal every everything exactly except few
fewer fewest file files first folder for from greatest has have heading headings highest how in is it its
largest last latest least less line lines links longest lot lots lowest many maximum median minimum more
most much neither newest no none nor not nothing number numbers of often oldest on one only or other own
same section sections sentence sentences shortest size smallest some something than that the their them
there they this those to together top total twice unique which with without word words
"""
_NO_TERM = frozenset(_NO_TERM_LIST.split())


def number_of(words: str) -> int:
    """The number that a numeral, number word or ordinal says."""
    digits = re.match(r"\d+", words)
    return int(digits[0]) if digits else (_NUMBER_WORDS.get(words) or _ORDINALS[words])


def measure_of(word: str) -> str:
    """The measure that a word means, as the tools call it."""
    singular = {"char": "character", "section": "heading"}.get(word.removesuffix("s"), word.removesuffix("s"))
    return f"{singular}s"


def measures_of(words: str) -> tuple[str, ...]:
    """The measures of a list such as "lines, words and bytes", each once."""
    return tuple(dict.fromkeys(measure_of(word) for word in re.findall(rf"\b{MEASURE}\b", words)))


def patterns_of(kind: str) -> tuple[str, ...]:
    """The patterns of a kind of files such as "markdown"."""
    return _KINDS[kind]


def extreme_of(superlative: str, measure: str | None, count: int = 1) -> Extreme:
    """Largest and smallest go by bytes, longest and shortest by lines, unless a measure is said."""
    by_default = "lines" if superlative in {"longest", "shortest"} else "bytes"
    return Extreme(measure or by_default, superlative not in {"shortest", "smallest"}, count)


def without_options(clause: Clause) -> tuple[Clause, bool, bool | None]:
    """A clause without its words on how to look: whether case matters, and whole words if it says."""
    words, cased = _MATCH_CASE.subn("", clause.words)
    words = _ANY_CASE.sub("", words)
    words, parts = _PARTS.subn("", words)
    words, whole = _WHOLE.subn("", words)
    return clause.part(words.strip(" ,")), bool(cased), False if parts else True if whole else None


def term_of(clause: Clause, words: str, *, match_case: bool, whole_words: bool | None) -> Term:
    """The term that words name; raises ``NotUnderstood`` for more than a name or two plain words."""
    found = _TERM.fullmatch(words.strip())
    if found is None:
        raise NotUnderstood(f"{clause.spoken(words)!r} is not a term to look for: put it in quotes")
    what = found["what"]
    if what.startswith("\u27e6"):
        text = clause.text(what)
    elif _NO_TERM.isdisjoint(what.split()):
        text = _as_said(clause, what)
    else:
        raise NotUnderstood(f"{clause.spoken(words)!r} is not a term to look for: put it in quotes")
    parts = found["kind"] in {"string", "text", "substring", "letters", "characters"}
    return Term(text, not parts if whole_words is None else whole_words, match_case)


def _as_said(clause: Clause, words: str) -> str:
    place = clause.said.lower().find(words)
    return clause.said[place : place + len(words)] if place >= 0 else words
