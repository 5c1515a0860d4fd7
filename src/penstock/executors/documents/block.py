"""The unit in which every format hands over its prose, and the link as it is written."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list item or heading as plain text, without mark-up."""

    text: str
    is_heading: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A link or image target as the text spells it, with the line it stands on (from 1)."""

    target: str
    line: int


@dataclass(slots=True)
class LinksAndAnchors:
    """Everything of a text that points somewhere, and everything in it that can be pointed at."""

    links: list[Link] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
