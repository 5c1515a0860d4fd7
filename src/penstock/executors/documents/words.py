"""Words of a sentence, and the English words that carry no subject."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d_](?:[\w'-]*\w)?")

_STOP_WORD_LIST = """
a able about above according across actually after again against all allow almost alone along
already also although always am among an and another any anyone anything are aren't around as
ask at away back be became because become been before behind being below between both but by
call came can can't cannot case come comes could couldn't did didn't different do does doesn't
doing don't done down during each either else enough even ever every everything example except
far few first following for found from further gave get gets give given gives go goes going
good got had hadn't half has hasn't have haven't having he he'd he'll her here hers
herself him himself his how however i i'd i'll i'm i've if in indeed inside instead into is
isn't it its itself just keep keeps kept know last least less let like likely made
make makes making many may maybe me mean means meanwhile might mine more most much must my
myself need needs neither never new next no nobody none nor not nothing now nowhere of off
often on once one ones only onto or other others otherwise our ours ourselves out over own part
per perhaps put quite rather really right s said same saw say says second see seem seems seen
set several shall she should shouldn't show since so some someone something sometimes soon
still such t take takes tell ten than thanks that the their theirs them themselves then
there therefore these they they'd they'll they're they've thing things think third this
those though three through thus till to together too took toward towards true try turn two
under unless until up upon us use used uses using usually various very via want wants was
wasn't way ways we we'd we'll we're we've well went were weren't what whatever when
whenever where wherever whether which while who whole whom whose why will with
within without won't work would wouldn't yes yet you you'd you'll you're you've your yours
yourself yourselves
"""
STOP_WORDS = frozenset(_STOP_WORD_LIST.split())

_MIN_MEANINGFUL_LENGTH = 3


def words_of(sentence: str) -> list[str]:
    """Return the words of a sentence in order, in small letters; numbers and marks are left out.

    A possessive ending goes: "the worker's lease" has the word "worker".
    """
    words = _WORD.findall(sentence.lower().replace("\u2019", "'"))
    return [word.removesuffix("'s") for word in words]


def carries_meaning(word: str) -> bool:
    """Say whether a word (as `words_of` gives it) may tell what a text is about."""
    return len(word) >= _MIN_MEANINGFUL_LENGTH and word not in STOP_WORDS
