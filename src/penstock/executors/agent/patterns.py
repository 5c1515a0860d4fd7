"""Which paths a pattern means: ``*.md`` anywhere, ``docs/*.md`` in one folder, ``docs/**`` below it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

MOST_STARS: Final = 6
_STARS_AND_REST = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+")
_MEANINGS: Final = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def is_pattern(text: str) -> bool:
    """Whether a text stands for several paths rather than for itself."""
    return "*" in text or "?" in text


def matching(pattern: str, paths: Iterable[str]) -> list[str]:
    """The paths that a pattern means, in their order; small and capital letters are the same.

    Raises ``ValueError`` for a pattern with more than six stars: it could take for ever.
    """
    compiled = _compiled(pattern.removeprefix("./"))
    return [path for path in paths if compiled.fullmatch(path)]


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    if pattern.count("*") > 2 * MOST_STARS:
        raise ValueError(f"the pattern {pattern!r} has too many stars: at most {MOST_STARS} are possible")
    anywhere = "" if "/" in pattern or pattern.startswith("**") else "(?:.*/)?"
    parts = (_MEANINGS.get(part) or re.escape(part) for part in _STARS_AND_REST.findall(pattern))
    return re.compile(anywhere + "".join(parts), re.IGNORECASE | re.DOTALL)
