"""Where the figures come from: hardware, software, and how busy the machine was meanwhile."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

_LIBRARIES = ("penstock", "redis", "hiredis", "uvloop")
_SETTINGS = ("appendonly", "appendfsync", "hash-max-listpack-value")


async def describe(client: Any, *, embedded: bool) -> dict[str, Any]:
    """The machine, the libraries and the server behind ``client``."""
    server = await client.info("server")
    settings: dict[str, str] = {}
    for name in _SETTINGS:
        settings |= {key.decode(): value.decode() for key, value in await _setting(client, name)}
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "server": {
            "name": "valkey" if "valkey_version" in server else "redis",
            "version": str(server.get("valkey_version") or server["redis_version"]),
            "allocator": _allocator(await client.info("memory"), server["process_id"] if embedded else None),
            "embedded": embedded,
            "settings": settings,
        },
    }


def load() -> float:
    """How many processes wanted to run during the last minute, ours included."""
    return round(os.getloadavg()[0], 2)


async def _setting(client: Any, name: str) -> list[tuple[bytes, bytes]]:
    pairs = await client.execute_command("CONFIG GET", name)
    found = pairs.items() if isinstance(pairs, dict) else zip(pairs[::2], pairs[1::2], strict=True)
    return [(_bytes(key), _bytes(value)) for key, value in found]


def _allocator(memory: dict[str, Any], process_id: int | None) -> str:
    """What the server was built with, unless its process, if that is on this machine, has another instead."""
    built_with = str(memory["mem_allocator"])
    if process_id is None:
        return built_with
    try:
        mapped = Path(f"/proc/{process_id}/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return built_with
    return "jemalloc" if built_with == "libc" and "libjemalloc" in mapped else built_with


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
