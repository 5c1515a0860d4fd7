"""Extractive summary: the sentences of a text that stand for the others best.

Two passes keep it in proportion to the text. Every sentence is first weighed by the words it
shares with the whole text; the best of them are then ranked against each other as a graph
(TextRank: sentences are nodes, shared words are edges), and near copies are passed over.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.executors.documents.words import carries_meaning, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.executors.documents.prose import Document

_MIN_WORDS, _MAX_WORDS = 5, 60
_MAX_CHARACTERS = 500
_CANDIDATES = 60
_LEAD_BONUS = 0.25
_DAMPING = 0.85
_RANKING_ROUNDS = 25
_COPY_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class SummarySentence:
    """A sentence of the text, its place among the sentences (from 0) and its score (0 to 1)."""

    text: str
    position: int
    score: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The chosen sentences in reading order, and out of how many they were chosen."""

    sentences: tuple[SummarySentence, ...]
    sentences_considered: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    text: str
    position: int
    words: frozenset[str]
    weight: float


def summarise(document: Document, *, sentence_count: int = 3) -> Summary:
    """Choose the sentences that say most about the whole text; fewer when there are fewer.

    Sentences of fewer than 5 or more than 60 words are never chosen: they are labels or lists.

    Raises:
        ValueError: `sentence_count` is below 1.
    """
    if sentence_count < 1:
        raise ValueError(f"sentence_count must be at least 1, got {sentence_count}")
    candidates, considered = _weigh(document.sentences)
    best = sorted(candidates, key=lambda one: (-one.weight, one.position))[:_CANDIDATES]
    best.sort(key=lambda one: one.position)
    ranks = _rank(best)
    chosen = _choose(best, ranks, sentence_count)
    return Summary(tuple(chosen), considered)


def _weigh(sentences: Sequence[str]) -> tuple[list[_Candidate], int]:
    frequency: Counter[str] = Counter()
    usable: list[tuple[int, str, frozenset[str]]] = []
    copies: set[str] = set()
    considered = 0
    for position, sentence in enumerate(sentences):
        if len(sentence) > _MAX_CHARACTERS:
            continue
        words = words_of(sentence)
        if not _MIN_WORDS <= len(words) <= _MAX_WORDS:
            continue
        considered += 1
        meaningful = [word for word in words if carries_meaning(word)]
        frequency.update(meaningful)
        if meaningful and sentence not in copies:
            copies.add(sentence)
            usable.append((position, sentence, frozenset(meaningful)))
    return [
        _Candidate(text, position, words, _weight(words, position, frequency))
        for position, text, words in usable
    ], considered


def _weight(words: frozenset[str], position: int, frequency: Mapping[str, int]) -> float:
    """Mean weight of the words, which grows slowly with length, and a bonus for coming early."""
    # Summed in a fixed order: sets of text are ordered differently in every process.
    total = sum(math.log1p(frequency[word]) for word in sorted(words))
    return total / math.sqrt(len(words) + 4) * (1 + _LEAD_BONUS / (1 + position))


def _rank(candidates: Sequence[_Candidate]) -> list[float]:
    count = len(candidates)
    similarity = [[0.0] * count for _ in range(count)]
    for row in range(count):
        for column in range(row + 1, count):
            value = _similarity(candidates[row].words, candidates[column].words)
            similarity[row][column] = similarity[column][row] = value
    totals = [sum(row) for row in similarity]
    ranks = [1.0] * count
    for _ in range(_RANKING_ROUNDS):
        shares = [rank / total if total else 0.0 for rank, total in zip(ranks, totals, strict=True)]
        ranks = [
            (1 - _DAMPING) + _DAMPING * sum(edge * share for edge, share in zip(row, shares, strict=True))
            for row in similarity
        ]
    return ranks


def _similarity(left: frozenset[str], right: frozenset[str]) -> float:
    shared = len(left & right)
    return shared / (math.log1p(len(left)) + math.log1p(len(right))) if shared else 0.0


def _choose(candidates: Sequence[_Candidate], ranks: Sequence[float], count: int) -> list[SummarySentence]:
    scores = [rank * one.weight for one, rank in zip(candidates, ranks, strict=True)]
    order = sorted(range(len(candidates)), key=lambda index: (-scores[index], index))
    top = max(scores, default=1.0)
    chosen: list[int] = []
    for index in order:
        if len(chosen) == count:
            break
        if not any(_is_copy(candidates[index], candidates[other]) for other in chosen):
            chosen.append(index)
    return [
        SummarySentence(candidates[index].text, candidates[index].position, round(scores[index] / top, 4))
        for index in sorted(chosen)
    ]


def _is_copy(one: _Candidate, other: _Candidate) -> bool:
    return len(one.words & other.words) / len(one.words | other.words) > _COPY_SHARE
