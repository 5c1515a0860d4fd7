"""Sentence splitting by rules: end marks, abbreviations, initials and numbers."""

from __future__ import annotations

import re

_ABBREVIATION_LIST = """
adm al approx apr art assn aug ave bros ca capt cf ch chap cmdr co col corp dec dept dr ed eds
eg e.g eq eqs esp est etc ex feb fig figs fr gen gov hon i.e ibid ie inc jan jr jul jun lt
ltd mar messrs min mr mrs ms mt nb no nos nov oct op p.s para pp prof pt pts ref refs rep
resp rev sec sect sen sep sept sgt sr st trans univ viz vol vols vs
"""
_ABBREVIATIONS = frozenset(_ABBREVIATION_LIST.split())
# Abbreviations that often close a sentence: a capital letter after them starts a new one.
_CLOSING_ABBREVIATIONS = frozenset({"etc", "al", "inc", "ltd", "co", "corp", "jr", "sr", "bros"})

_WIDE_STOPS = "\u3002\uff01\uff1f"
_CLOSERS = "\"'\u201d\u2019\u00bb)\\]*_`"
_OPENERS = "\"'\u201c\u2018\u00ab(\\[*_`"
_BOUNDARY = re.compile(
    # The look-behind keeps long runs of marks linear: a match can only begin at their start.
    rf"(?<![.!?\u2026])(?P<mark>[.!?\u2026]+)(?P<closers>[{_CLOSERS}]{{0,3}})(?=\s)"
    rf"|(?P<wide>[{_WIDE_STOPS}]+)"
)
_NEXT_WORD = re.compile(rf"\s+[{_OPENERS}]{{0,3}}(?P<first>\S)")
_LAST_WORD_REACH = 40
_LIST_NUMBER_DIGITS = 2


def split_sentences(text: str) -> list[str]:
    """Split one block of prose (no mark-up, no code) into sentences, white space made plain.

    Every word of the text is in exactly one sentence, in order. A full stop after an abbreviation,
    an initial or a list number does not end a sentence, nor does one before a small letter.
    """
    sentences: list[str] = []
    start = 0
    for match in _BOUNDARY.finditer(text):
        if match["wide"] or _ends_sentence(text, match):
            sentences.append(text[start : match.end()])
            start = match.end()
    sentences.append(text[start:])
    plain = (" ".join(sentence.split()) for sentence in sentences)
    return [sentence for sentence in plain if sentence]


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    following = _NEXT_WORD.match(text, match.end())
    if following is None:
        return True
    first = following["first"]
    if match["mark"] != ".":
        return not (first.islower() and match["mark"].startswith(("...", "\u2026")))
    if first.islower():
        return False
    return not _is_abbreviated(text, match.start(), first)


def _is_abbreviated(text: str, stop: int, next_character: str) -> bool:
    reach = text[max(0, stop - _LAST_WORD_REACH) : stop].split()
    if not reach or text[stop - 1].isspace():
        return False
    word = reach[-1].lstrip("\"'([{*_`\u201c\u2018\u00ab")
    if len(word) == 1 and word.isalpha():
        return word not in {"I", "a"}
    folded = word.lower()
    if folded in _CLOSING_ABBREVIATIONS:
        return not next_character.isupper()
    if folded in _ABBREVIATIONS:
        return True
    is_list_number = word.isdigit() and len(word) <= _LIST_NUMBER_DIGITS and len(reach) == 1
    return is_list_number or re.fullmatch(r"(?:[A-Za-z]\.)+[A-Za-z]", word) is not None
