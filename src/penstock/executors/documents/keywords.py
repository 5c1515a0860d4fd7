"""Key words by co-occurrence (RAKE), weighed by how often a phrase really comes back."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.executors.documents.formats import TextFormat
from penstock.executors.documents.words import carries_meaning, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.executors.documents.prose import Document

_MAX_PHRASE_WORDS = 3
_PHRASE_BREAK = re.compile(r"[^\w\s'\u2019-]+|\n\n|\s-+\s")
_HEADING_WEIGHT = 2
_MAX_WORD_LENGTH = 40


@dataclass(frozen=True, slots=True)
class KeyWord:
    """A phrase of one to three words, how often it occurs, and its score (1 is the best one)."""

    phrase: str
    count: int
    score: float


def key_words(document: Document, *, limit: int = 8) -> tuple[KeyWord, ...]:
    """Return the phrases that tell what a text is about, best first.

    A phrase is a run of meaningful words between stop words and punctuation. Its words score by
    the company they keep (degree over frequency), the phrase by its words and its own frequency;
    headings count twice. A phrase inside a better one is left out. Data files, which have no
    prose, give the words of the whole text instead. A plural counts with its singular.

    Raises:
        ValueError: `limit` is below 1.
    """
    if limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    phrases = _without_plurals(_count_phrases(document))
    word_scores = _word_scores(phrases)
    scores = {phrase: _score(phrase, count, word_scores) for phrase, count in phrases.items()}
    order = sorted(phrases, key=lambda phrase: (-scores[phrase], phrase))
    top = scores[order[0]] if order else 1.0
    chosen: list[tuple[str, ...]] = []
    for phrase in order:
        if len(chosen) == limit:
            break
        if not any(_overlap(phrase, better) for better in chosen):
            chosen.append(phrase)
    return tuple(
        KeyWord(" ".join(phrase), phrases[phrase], round(scores[phrase] / top, 4)) for phrase in chosen
    )


def _count_phrases(document: Document) -> Counter[tuple[str, ...]]:
    counts: Counter[tuple[str, ...]] = Counter()
    for text, weight in _weighted_texts(document):
        for part in _PHRASE_BREAK.split(text):
            for phrase in _runs(words_of(part)):
                counts[phrase] += weight
    return counts


def _without_plurals(phrases: Counter[tuple[str, ...]]) -> Counter[tuple[str, ...]]:
    """Count a plural in -s with its singular wherever the text has both."""
    singulars = {
        word: word[:-1]
        for (word,) in (one for one in phrases if len(one) == 1)
        if word.endswith("s") and (word[:-1],) in phrases
    }
    merged: Counter[tuple[str, ...]] = Counter()
    for phrase, count in phrases.items():
        merged[tuple(singulars.get(word, word) for word in phrase)] += count
    return merged


def _weighted_texts(document: Document) -> Iterator[tuple[str, int]]:
    if document.format is TextFormat.DATA:
        yield document.text, 1
        return
    for block in document.blocks:
        yield block.text, _HEADING_WEIGHT if block.is_heading else 1


def _runs(words: list[str]) -> Iterator[tuple[str, ...]]:
    run: list[str] = []
    for word in words:
        if carries_meaning(word) and len(word) <= _MAX_WORD_LENGTH:
            run.append(word)
            continue
        if run:
            yield from _phrases_of(run)
            run = []
    if run:
        yield from _phrases_of(run)


def _phrases_of(run: list[str]) -> Iterator[tuple[str, ...]]:
    for length in range(1, _MAX_PHRASE_WORDS + 1):
        for start in range(len(run) - length + 1):
            yield tuple(run[start : start + length])


def _word_scores(phrases: Counter[tuple[str, ...]]) -> dict[str, float]:
    degree: Counter[str] = Counter()
    for phrase, count in phrases.items():
        for word in phrase:
            degree[word] += count * len(phrase)
    return {word: total / phrases[(word,)] for word, total in degree.items()}


def _score(phrase: tuple[str, ...], count: int, word_scores: dict[str, float]) -> float:
    mean = sum(word_scores[word] for word in phrase) / len(phrase)
    return math.log1p(count) * math.sqrt(count * mean * len(phrase))


def _overlap(phrase: tuple[str, ...], better: tuple[str, ...]) -> bool:
    return set(phrase) <= set(better) or set(better) <= set(phrase)
