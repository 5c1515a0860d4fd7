"""The scripts as documents: their headers say what they take, and calls are built from that.

A header names KEYS (attributes of ``QueueKeys``), ARGV (once a call), EACH (once a job) and the
library parts it USES. From these the loader writes the ``local`` lines that bind the names, so the
header cannot disagree with the body. A library part's own KEYS and ARGV must stand in every script
that uses it, which loading checks.

A server runs a whole script at each call, and making its functions costs time. Parts that most calls
do without are named under LATE: they are made when ``late()`` is first called, and ``late().name`` is
what one of them calls ``name``. ``was_late`` says whether that happened. Keys that only such parts need
are not sent with each call but made from ``home``, which all keys of a queue begin with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from penstock.store.keys import QueueKeys

_FIELD = re.compile(r"^-- (KEYS|ARGV|EACH|USES|LATE|RETURNS)\s+(.*)$")
_LATE_NAME = re.compile(r"\blate\(\)\.(\w+)")
_CONTINUED = re.compile(r"^--\s{6,}(\S.*)$")
# What most callers of a call want may have a script of its own, which is shorter.
_SHORT_WAYS = {"enqueue": ("enqueue_plain",)}


@dataclass(frozen=True)
class ScriptHeader:
    """What a script or library part says about itself."""

    name: str
    keys: tuple[str, ...]
    argv: tuple[str, ...]
    each: tuple[str, ...]
    uses: tuple[str, ...]
    late: tuple[str, ...] = ()


@dataclass(frozen=True)
class Script:
    """A script ready to send: its header and full source."""

    header: ScriptHeader
    source: str

    def keys_of(self, keys: QueueKeys) -> list[str]:
        """The key names of one queue, in the order of the header."""
        return [getattr(keys, name) for name in self.header.keys]

    def arguments(self, once: dict[str, Any], each: Iterable[Sequence[Any]] = ()) -> list[Any]:
        """ARGV in the order of the header; ``once`` must name exactly what the header names."""
        argv = self.header.argv
        if len(once) != len(argv) or not all(map(once.__contains__, argv)):
            raise TypeError(f"{self.header.name} takes {argv}, got {tuple(once)}")
        values = [once[name] for name in argv]
        for entry in each:
            values.extend(entry)
        return values


def parse_header(name: str, source: str) -> ScriptHeader:
    """Read the comment that opens a script."""
    fields = ("KEYS", "ARGV", "EACH", "USES", "LATE", "RETURNS")
    found: dict[str, list[str]] = {field: [] for field in fields}
    current: str | None = None
    for line in source.splitlines():
        if not line.startswith("--"):
            break
        if match := _FIELD.match(line):
            current = match[1]
            found[current] += match[2].split()
        elif current and (match := _CONTINUED.match(line)):
            found[current] += match[1].split()
        else:
            current = None
    return ScriptHeader(name, *(tuple(found[field]) for field in fields[:-1]))


@cache
def load(name: str) -> Script:
    """The script ``name``, with the library parts it uses in front."""
    header, body = _read(f"{name}.lua")
    parts: dict[str, str] = {}
    late: list[str] = list(header.late)
    for part in header.uses:
        _gather(part, header, parts, late)
    made_late = _gather_late(header, parts, late)
    lines = [_bind(header.keys, "KEYS"), _bind(header.argv, "ARGV")]
    if header.each:
        lines.append(f"local FIRST, STRIDE = {len(header.argv) + 1}, {max(len(header.each), 1)}\n")
    if not late:
        return Script(header, "".join(lines) + "".join(parts.values()) + body)
    wanted = _LATE_NAME.findall("".join(parts.values()) + "".join(made_late.values()) + body)
    # Bound anew: a function that keeps hold of outer names costs time for each when it is made.
    late_keys = "".join(lines[:2]) + _late_keys(header, made_late)
    return Script(
        header, "".join([*lines, _FORWARD, *parts.values(), _wrap(late_keys, made_late, wanted), body])
    )


def script_names() -> list[str]:
    """All scripts, without the library parts."""
    folder = resources.files("penstock.store") / "lua"
    return sorted(
        entry.name.removesuffix(".lua") for entry in folder.iterdir() if entry.name.endswith(".lua")
    )


def scripts_by_call() -> dict[str, tuple[str, ...]]:
    """The engine's calls, and the scripts that serve each: its own, and the short ways to the same."""
    short = {name for names in _SHORT_WAYS.values() for name in names}
    return {name: (name, *_SHORT_WAYS.get(name, ())) for name in script_names() if name not in short}


def _read(path: str) -> tuple[ScriptHeader, str]:
    source = (resources.files("penstock.store") / "lua" / path).read_text(encoding="utf-8")
    return parse_header(path.removesuffix(".lua"), source), source


_FORWARD = "local late, was_late = nil, false\n"


def _late_keys(script: ScriptHeader, parts: Iterable[str]) -> str:
    named = {key for part in parts for key in _read(f"lib/{part}.lua")[0].keys}
    keys = QueueKeys("", "q")
    return "".join(
        f"local {name} = home .. '{getattr(keys, name).removeprefix(keys.home)}'\n"
        for name in sorted(named - set(script.keys))
    )


def _wrap(keys: str, parts: dict[str, str], wanted: Iterable[str]) -> str:
    names = ", ".join(f"{name} = {name}" for name in sorted(set(wanted)))
    return (
        "local made_late = nil\nlate = function()\nif made_late then return made_late end\n"
        f"{keys}{''.join(parts.values())}made_late, was_late = {{ {names} }}, true\nreturn made_late\nend\n"
    )


def _gather_late(script: ScriptHeader, parts: dict[str, str], late: list[str]) -> dict[str, str]:
    """The parts that are made late: what those named use, and in turn name, that is not there before."""
    made = dict(parts)
    for part in late:
        # `late` grows while parts are gathered: a late part may name others.
        _gather(part, script, made, late, may_make_keys="home" in script.keys)
    return {part: body for part, body in made.items() if part not in parts}


def _gather(
    part: str, script: ScriptHeader, parts: dict[str, str], late: list[str], *, may_make_keys: bool = False
) -> None:
    if part in parts:
        return
    header, body = _read(f"lib/{part}.lua")
    late += [name for name in header.late if name not in late]
    missing = set(header.argv) - set(script.argv)
    if not may_make_keys:
        missing |= set(header.keys) - set(script.keys)
    if missing:
        raise TypeError(f"{script.name} uses {part}, which needs {sorted(missing)} in its header")
    for needed in header.uses:
        _gather(needed, script, parts, late, may_make_keys=may_make_keys)
    parts[part] = body


def _bind(names: Sequence[str], table: str) -> str:
    if not names:
        return ""
    values = ", ".join(f"{table}[{place}]" for place in range(1, len(names) + 1))
    return f"local {', '.join(names)} = {values}\n"
