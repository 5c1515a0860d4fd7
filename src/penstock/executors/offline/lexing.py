"""A goal as clauses, its quoted texts and file names set apart so that no rule takes them for words."""

from __future__ import annotations

import re
from dataclasses import dataclass

_QUOTED = re.compile(
    r"\"([^\"]+)\"|\u201c([^\u201d]+)\u201d|`([^`]+)`|(?<!\w)['\u2018]([^'\u2019]+)['\u2019](?!\w)"
)
_FILE = re.compile(
    r"(?<![\w\u27e6])(?!(?:and/or|e\.g|i\.e)\b)"
    r"(?:[\w*?-][\w.*?-]*/(?:[\w.*?-]+/)*[\w.*?-]*[\w*-]|[\w*?-][\w.*?-]*/|[\w*?-][\w.*?-]*\.[A-Za-z]\w{0,7}"
    r"|\*\*?|\.(?:[A-Za-z]\w{0,7})(?= files?\b| documents?\b))(?![\w\u27e7])"
)
_PLACE = re.compile(r"\u27e6[qf](\d+)\u27e7")
QUOTED = r"\u27e6q\d+\u27e7"
FILE = r"\u27e6f\d+\u27e7"

_VERBS = (
    r"(?:count|list|find|show|write|save|store|put|export|summari[sz]e|sum up|compare|give|tell|print"
    r"|read|search"
    r"|name|report|how (?:many|often|long|big|large|frequently)|which|what|where|extract|check|display|get"
    r"|create|make|produce|determine|compute|calculate|identify|look for|grep|record|append|dump|output|quote"
    r"|the (?:total )?(?:number|count) of|the (?:lines|words|characters|bytes|sentences|headings|key ?words)"
    r" (?:in|of))\b"
)
_BREAK = re.compile(
    r"(?:[.;!?]+(?:\s+|\Z)|\n+)(?:and )?(?:(?:then|next|finally|lastly|afterwards|after that)\b,? *)?"
    r"|,? *(?:\b(?:and|but) )?\b(?:then|after that|afterwards|finally|lastly|and next)\b,? *"
    rf"|,? +and (?:also )?(?={_VERBS})"
    rf"|, +(?:also )?(?={_VERBS})"
)
_POLITENESS = re.compile(
    r"\A(?:(?:first(?:ly)?|also|now|next|ok|okay|hello|hi|please|kindly|just)\b,? *"
    r"|(?:can|could|would|will) you (?:please )?|i (?:want|need|would like|'d like) (?:you )?to (?:know )?"
    r"|i'd like (?:you )?to (?:know )?|let me know |tell me |tell us |find out |work out |determine "
    r"|report (?=how|which|what|the )|say (?=how|which|what))+"
)
# "Show its first line" asks for "the first line of it".
_POSSESSIVE = re.compile(
    r"(?<!by )\b(?P<whose>its|their) (?!names?\b)(?P<what>[a-z0-9 -]+?)(?= (?:to|into|in|as) \u27e6|\Z)"
)
_COURTESY_END = re.compile(r"(?:,? (?:please|for me|thanks|thank you))+\Z")


@dataclass(frozen=True, slots=True)
class Clause:
    """One thing that is asked: in small letters with placeholders, and as it was written."""

    words: str
    said: str
    texts: tuple[str, ...]

    def text(self, placeholder: str) -> str:
        """What a placeholder stands for."""
        found = _PLACE.fullmatch(placeholder)
        if found is None:
            raise ValueError(f"{placeholder!r} is not a placeholder")
        return self.texts[int(found[1])]

    def spoken(self, words: str) -> str:
        """Words with their placeholders filled in, quoted texts in quotes."""

        def filled(match: re.Match[str]) -> str:
            text = self.texts[int(match[1])]
            mark = "`" if '"' in text else '"'
            return f"{mark}{text}{mark}" if match[0].startswith("\u27e6q") else text

        return _PLACE.sub(filled, words)

    def part(self, words: str) -> Clause:
        """A clause made of some of this one's words."""
        return Clause(words, self.spoken(words), self.texts)


def clauses_of(goal: str) -> list[Clause]:
    """Split a goal where one request ends and the next begins."""
    texts: list[str] = []

    def apart(kind: str, text: str) -> str:
        texts.append(text)
        return f"\u27e6{kind}{len(texts) - 1}\u27e7"

    def quoted(match: re.Match[str]) -> str:
        return apart("q", next(group for group in match.groups() if group is not None))

    def file(match: re.Match[str]) -> str:
        name = match[0]
        return apart("f", f"*{name}" if name.startswith(".") else name)

    words = _FILE.sub(file, _QUOTED.sub(quoted, goal)).lower().replace("\u2019", "'")
    words = re.sub(r"(\u27e6f\d+\u27e7)'s\b", r"\1", words)
    pieces = (_tidy(piece) for piece in _BREAK.split(words))
    whole = Clause(words, goal, tuple(texts))
    return [whole.part(piece) for piece in pieces if piece]


def _tidy(words: str) -> str:
    plain = " ".join(words.split()).strip(" ,.;:!?")
    plain = _COURTESY_END.sub("", _POLITENESS.sub("", plain))
    return _POSSESSIVE.sub(_of_it, plain.strip(" ,.;:!?"))


def _of_it(match: re.Match[str]) -> str:
    return f"the {match['what']} of {'it' if match['whose'] == 'its' else 'them'}"
