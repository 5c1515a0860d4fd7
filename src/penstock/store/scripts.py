"""The scripts as documents: their headers say what they take, and calls are built from that.

A header names KEYS (attributes of ``QueueKeys``), ARGV (once a call), EACH (once a job) and the
library parts it USES. From these the loader writes the ``local`` lines that bind the names, so the
header cannot disagree with the body. A library part's own KEYS and ARGV must stand in every script
that uses it, which loading checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from penstock.store.keys import QueueKeys

_FIELD = re.compile(r"^-- (KEYS|ARGV|EACH|USES|RETURNS)\s+(.*)$")
_CONTINUED = re.compile(r"^--\s{6,}(\S.*)$")


@dataclass(frozen=True)
class ScriptHeader:
    """What a script or library part says about itself."""

    name: str
    keys: tuple[str, ...]
    argv: tuple[str, ...]
    each: tuple[str, ...]
    uses: tuple[str, ...]


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
        if once.keys() != set(self.header.argv):
            raise TypeError(f"{self.header.name} takes {self.header.argv}, got {tuple(once)}")
        values = [once[name] for name in self.header.argv]
        for entry in each:
            values.extend(entry)
        return values


def parse_header(name: str, source: str) -> ScriptHeader:
    """Read the comment that opens a script."""
    found: dict[str, list[str]] = {"KEYS": [], "ARGV": [], "EACH": [], "USES": [], "RETURNS": []}
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
    return ScriptHeader(
        name, tuple(found["KEYS"]), tuple(found["ARGV"]), tuple(found["EACH"]), tuple(found["USES"])
    )


@cache
def load(name: str) -> Script:
    """The script ``name``, with the library parts it uses in front."""
    header, body = _read(f"{name}.lua")
    parts: dict[str, str] = {}
    for part in header.uses:
        _gather(part, header, parts)
    lines = [_bind(header.keys, "KEYS"), _bind(header.argv, "ARGV")]
    if header.each:
        lines.append(f"local FIRST, STRIDE = {len(header.argv) + 1}, {max(len(header.each), 1)}\n")
    return Script(header, "".join(lines) + "".join(parts.values()) + body)


def script_names() -> list[str]:
    """All scripts, without the library parts."""
    folder = resources.files("penstock.store") / "lua"
    return sorted(
        entry.name.removesuffix(".lua") for entry in folder.iterdir() if entry.name.endswith(".lua")
    )


def _read(path: str) -> tuple[ScriptHeader, str]:
    source = (resources.files("penstock.store") / "lua" / path).read_text(encoding="utf-8")
    return parse_header(path.removesuffix(".lua"), source), source


def _gather(part: str, script: ScriptHeader, parts: dict[str, str]) -> None:
    if part in parts:
        return
    header, body = _read(f"lib/{part}.lua")
    missing = (set(header.keys) - set(script.keys)) | (set(header.argv) - set(script.argv))
    if missing:
        raise TypeError(f"{script.name} uses {part}, which needs {sorted(missing)} in its header")
    for needed in header.uses:
        _gather(needed, script, parts)
    parts[part] = body


def _bind(names: Sequence[str], table: str) -> str:
    if not names:
        return ""
    values = ", ".join(f"{table}[{place}]" for place in range(1, len(names) + 1))
    return f"local {', '.join(names)} = {values}\n"
