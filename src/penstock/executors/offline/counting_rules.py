"""Rules for files and their measures: listing, counting, extremes, comparisons."""

from __future__ import annotations

import re
from typing import Final

from penstock.executors.offline.intents import Ask, Extreme, Intent, NotUnderstood, Selection
from penstock.executors.offline.lexing import FILE, QUOTED
from penstock.executors.offline.rules import LEAD, Reading, Rule, rule
from penstock.executors.offline.selecting import selection_of
from penstock.executors.offline.words import (
    KIND,
    MEASURE,
    MEASURES,
    NUMBER,
    SUPERLATIVE,
    extreme_of,
    measure_of,
    measures_of,
    number_of,
)

_NAME = rf"(?:{FILE}|{QUOTED})"
_COUNT = (
    r"(?:count|how many|measure|(?:give |tell |show |get |report |find |compute |determine |calculate "
    r"|what is )?(?:me )?(?:the )?(?:total )?(?:number|count) of|sum)"
)
_BY = (
    rf"(?: (?:by|on|in(?: terms of)?|for|according to) (?:the |their )?(?:number of |total"
    rf" )?(?P<by>{MEASURES}|sizes?|lengths?)(?: count)?)?"
)
_ADJECTIVES = {
    "longer": "lines",
    "shorter": "lines",
    "larger": "bytes",
    "bigger": "bytes",
    "smaller": "bytes",
}
_ADJECTIVE = "(?P<adjective>" + "|".join(_ADJECTIVES) + ")"
_PAIR = rf"(?P<sel>{_NAME}(?:,? (?:and|or|with|to|than|against|versus|vs) (?:the )?(?:file )?{_NAME}))"
_GROUP = rf"(?:{KIND} |{FILE} )?(?:files?|documents?|one)"


def _by(words: str | None) -> tuple[str, ...]:
    if not words:
        return ()
    return {"size": ("bytes",), "length": ("lines",)}.get(words.rstrip("s")) or measures_of(words)


def _measure(reading: Reading) -> Intent:
    return Intent(Ask.MEASURE, reading.files, measures=measures_of(reading.part("measures")))


def _size(reading: Reading) -> Intent:
    return Intent(Ask.MEASURE, reading.files, measures=("bytes",))


def _length(reading: Reading) -> Intent:
    return Intent(Ask.MEASURE, reading.files, measures=("lines", "words"))


def _group_of_files(reading: Reading) -> Selection:
    files = reading.files
    several = [name for name in files.names if "*" in name or "?" in name]
    if len(several) != len(files.names) or files.extreme:
        raise NotUnderstood(f"{reading.clause.spoken(reading.part('sel'))!r} are not files to list or count")
    return files


def _count_files(reading: Reading) -> Intent:
    return Intent(Ask.COUNT_FILES, _group_of_files(reading))


def _list(reading: Reading) -> Intent:
    return Intent(Ask.LIST_FILES, _group_of_files(reading))


def _extreme(reading: Reading) -> Intent:
    files = reading.files
    if files.extreme is None:
        raise NotUnderstood(f"{reading.clause.said!r} names no measure to go by")
    return Intent(Ask.EXTREME, files, measures=(files.extreme.measure,))


def _which_has_most(reading: Reading) -> Intent:
    group = selection_of(
        reading.clause, f"{reading.part('kind')}{reading.part('where')}".replace("one", "file")
    )
    how = reading.part("how")
    extreme = Extreme(measure_of(reading.part("by")), how not in {"fewest", "least"})
    files = Selection(group.names, group.patterns, group.folder, group.mentioning, extreme, group.earlier)
    return Intent(Ask.EXTREME, files, measures=(extreme.measure,))


def _top(reading: Reading) -> Intent:
    count = number_of(reading.part("count"))
    by = _by(reading["by"]) or ("bytes",)
    group = selection_of(reading.clause, f"{reading.part('kind')}{reading.part('where')}")
    extreme = Extreme(by[0], reading["side"] != "bottom", count)
    files = Selection(group.names, group.patterns, group.folder, group.mentioning, extreme, group.earlier)
    return Intent(Ask.EXTREME, files, measures=by[:1])


def _compare(reading: Reading) -> Intent:
    words = re.sub(r" (?:with|to|than|against|versus|vs|or) ", " and ", reading.part("sel"))
    files = selection_of(reading.clause, words)
    adjective = reading["adjective"]
    measures = _by(reading["by"]) or ((_ADJECTIVES[adjective],) if adjective else ("lines", "words", "bytes"))
    return Intent(Ask.COMPARE, files, measures=measures)


def _compare_two(reading: Reading) -> Intent:
    files = selection_of(reading.clause, f"{reading.part('one')} and {reading.part('two')}")
    adjective = reading["adjective"]
    return Intent(Ask.COMPARE, files, measures=_by(reading["by"]) or (_ADJECTIVES[adjective or "longer"],))


def _which_super(reading: Reading) -> Intent:
    kind = reading["kind"]
    group = selection_of(reading.clause, f"{kind}{reading['where'] or ''}") if kind else Selection()
    by = _by(reading["by"])
    extreme = extreme_of(reading.part("super"), by[0] if by else None)
    files = Selection(group.names, group.patterns, group.folder, group.mentioning, extreme, group.earlier)
    return Intent(Ask.EXTREME, files, measures=(extreme.measure,))


def _joined(reading: Reading) -> Selection:
    words = re.sub(r"\Anames of ", "", f"{reading.part('sel')}{reading['place'] or ''}")
    return selection_of(reading.clause, words)


def _count_there(reading: Reading) -> Intent:
    files = _joined(reading)
    if files.extreme or any("*" not in name for name in files.names):
        raise NotUnderstood(f"{reading.clause.said!r} does not say which files to count")
    return Intent(Ask.COUNT_FILES, files)


def _list_there(reading: Reading) -> Intent:
    files = _joined(reading)
    if files.extreme or any("*" not in name and "?" not in name for name in files.names):
        raise NotUnderstood(f"{reading.clause.said!r} does not say which files to list")
    return Intent(Ask.LIST_FILES, files)


def _count_earlier(reading: Reading) -> Intent:
    return Intent(Ask.COUNT_FILES, Selection(earlier=True))


def _held(reading: Reading) -> Intent:
    files = selection_of(reading.clause, f"{reading.part('sel')} in {reading.part('holder')}")
    return Intent(Ask.COUNT_FILES, files)


#: The rules, the more particular ones first.
COUNTING_RULES: Final[tuple[Rule, ...]] = (
    rule(r"compare (?:the )?(?:sizes?|lengths?) of (?P<sel>.+?)", _compare),
    rule(
        rf"compare (?:the )?(?:number of )?(?P<by>{MEASURES})(?: counts?)? (?:of|in) (?P<sel>.+?)",
        _compare,
    ),
    rule(rf"compare (?P<sel>.+?){_BY}", _compare),
    rule(
        rf"(?:which|what)(?: one| file)? is (?:the )?{_ADJECTIVE}{_BY}(?:[,:]| of| out of)? {_PAIR}",
        _compare,
    ),
    rule(rf"which(?: one| file)?(?: of| out of)? {_PAIR} is (?:the )?{_ADJECTIVE}(?: one)?{_BY}", _compare),
    rule(rf"is (?P<one>{_NAME}) {_ADJECTIVE} than (?P<two>{_NAME}){_BY}", _compare_two),
    rule(
        rf"which(?: one| file)?(?: of| out of)? {_PAIR} has (?:the )?(?:more|most|fewer|fewest"
        rf"|less) (?P<by>{MEASURE})",
        _compare,
    ),
    rule(
        rf"which(?: one| file)? has (?:more|most|the most|fewer|fewest|less)"
        rf" (?P<by>{MEASURE})[,:]? {_PAIR}",
        _compare,
    ),
    rule(
        rf"(?:does|do) (?P<one>{_NAME}) have (?:more|fewer|less) (?P<by>{MEASURE}) than (?P<two>{_NAME})",
        _compare_two,
    ),
    rule(
        rf"how many (?:more|fewer|less) (?P<by>{MEASURE}) (?:does|has|are in|are there in)"
        rf" (?P<one>{_NAME}) (?:have |has )?than (?:in )?(?P<two>{_NAME})(?: has| have)?",
        _compare_two,
    ),
    rule(
        rf"{LEAD}difference (?:in|of) (?:the )?(?:number of )?(?P<by>{MEASURES})(?: counts?)?"
        rf" (?:between|of) (?P<sel>.+)",
        _compare,
    ),
    rule(
        rf"(?:which|what) (?P<kind>{_GROUP}) (?:has|contains|have) (?:the )?(?P<how>most|fewest"
        rf"|least) (?P<by>{MEASURE})(?P<where> (?:in|of|under) .+)?",
        _which_has_most,
    ),
    rule(
        rf"(?:which|what) (?P<kind>{_GROUP})(?P<where> (?:in|under|of) [^ ]+(?: folder)?)? (?:has"
        rf"|contains) (?:the )?(?P<how>most|fewest|least) (?P<by>{MEASURE})",
        _which_has_most,
    ),
    rule(
        rf"(?:{LEAD})?(?P<side>top|bottom) (?P<count>{NUMBER}) (?P<kind>(?:{KIND} )?(?:files"
        rf"|documents)){_BY}(?P<where> (?:in|under) .+)?",
        _top,
    ),
    rule(
        rf"(?:which|what) (?P<kind>{_GROUP})(?P<where> (?:in|of|under) .+?)? (?:is|are) (?:the"
        rf" )?(?P<super>{SUPERLATIVE})(?: one)?{_BY}",
        _which_super,
    ),
    rule(rf"(?:which|what) (?:is|are|one is) (?:the )?(?P<super>{SUPERLATIVE}){_BY}", _which_super),
    rule(rf"(?:which|what) (?:is|are) (?P<sel>(?:the )?.*{SUPERLATIVE}.+)", _extreme),
    rule(rf"{LEAD}(?P<sel>(?:the )?(?:{NUMBER} )?{SUPERLATIVE} .+)", _extreme),
    rule(
        rf"{LEAD}(?P<sel>(?:the )?(?:{KIND} )?(?:file|document) (?:with|that has|which has)"
        rf" (?:the )?(?:most|fewest|least|highest|largest) .+)",
        _extreme,
    ),
    rule(
        rf"{_COUNT} (?:the |all |all the )?(?:number of )?(?P<measures>{MEASURES}) (?:are"
        rf" )?(?:there )?(?:are )?(?:in|of|inside|across|for) (?P<sel>.+)",
        _measure,
    ),
    rule(
        rf"how many (?P<measures>{MEASURES}) (?:does|do|has|have) (?P<sel>.+?)(?: (?:have|contain"
        rf"|has|hold|count))?",
        _measure,
    ),
    rule(
        rf"(?:count )?how many (?P<measures>{MEASURES}) (?P<sel>.+?) (?:has|have|contains?|holds?)",
        _measure,
    ),
    rule(rf"how many (?P<measures>{MEASURES}) (?:does|do) (?P<sel>it|they) have", _measure),
    rule(rf"{LEAD}(?P<measures>{MEASURE}) counts? (?:of|for|in) (?P<sel>.+)", _measure),
    rule(rf"{LEAD}(?P<sel>{_NAME}) (?P<measures>{MEASURE}) count", _measure),
    rule(r"how (?:big|large) (?:is|are) (?P<sel>.+)", _size),
    rule(rf"{LEAD}(?:file |total )?sizes? (?:in bytes )?of (?P<sel>.+?)(?: in bytes)?", _size),
    rule(r"how long (?:is|are) (?P<sel>.+)", _length),
    rule(rf"{LEAD}length of (?P<sel>.+)", _length),
    rule(
        rf"{_COUNT} (?P<sel>(?:the |all |all the )?.*(?:files|documents).*?|them|those|these)(?:"
        rf" (?:(?:are|is) (?:there|here|present)|there (?:are|is)))?(?P<place> (?:in|inside|under) .+)?",
        _count_there,
    ),
    rule(
        rf"how many (?P<sel>(?:{KIND} |{FILE} )?(?:files|documents)) (?:are|is|lie|live)(?:"
        rf" there)?(?P<place> (?:in|inside|under) .+)",
        _count_there,
    ),
    rule(r"how many (?:are there|of them are there|are they)", _count_earlier),
    rule(
        r"how many (?P<sel>.*(?:files|documents)) (?:does|do|has) (?:the )?(?:folder |directory"
        r" )?(?P<holder>.+?)(?: folder| directory)? (?:have|contain|hold)",
        _held,
    ),
    rule(
        r"(?:list|show|name|find|get|give|enumerate|print|display|search for|look for)(?: me|"
        r" us)? (?P<sel>(?:the |all |all the )?(?:names of )?.*(?:files|documents).*|everything"
        r"|.*\u27e6f\d+\u27e7)(?: (?:that )?(?:there are|exist))?",
        _list_there,
    ),
    rule(
        r"(?:which|what) (?P<sel>.*(?:files|documents)(?: (?!are|is|exist|do).+?)?) (?:are there"
        r"|exist|do we have|are present|can you see)(?P<place> (?:in|inside|under) .+)?",
        _list_there,
    ),
    rule(
        r"(?:which|what) (?P<sel>.*(?:files|documents)) (?:are|is|exist|lie|live|sit)(?P<place>"
        r" (?:in|inside|under) .+)",
        _list_there,
    ),
    rule(rf"{LEAD}(?:list|names) of (?P<sel>(?:all |the |all the )?.*(?:files|documents).*)", _list_there),
)
