"""Large stored JSON, compressed; a first byte that no JSON begins with tells it apart.

Level 1 was chosen by measurement: on prose and on rows of JSON it leaves 5 to 20 % more than level 6 and
takes a third to a fifth of the time, which a worker's event loop spends waiting.
"""

from __future__ import annotations

import zlib
from typing import Final

from penstock.core.errors import InvalidJobError

MARK: Final = b"\x01"
_LEVEL: Final = 1
# Well above any JSON that is stored, and far below what damaged data could unpack to.
_LARGEST_BYTES: Final = 16 * 1024 * 1024


def compressed(raw: bytes, above_bytes: int) -> bytes:
    """``raw`` compressed if it is larger than ``above_bytes`` and becomes smaller, else as it is."""
    if len(raw) <= above_bytes:
        return raw
    packed = MARK + zlib.compress(raw, _LEVEL)
    return packed if len(packed) < len(raw) else raw


def expanded(stored: bytes) -> bytes:
    """What ``compressed`` was given; raise ``InvalidJobError`` when it is damaged."""
    if not stored.startswith(MARK):
        return stored
    unpacking = zlib.decompressobj()
    try:
        raw = unpacking.decompress(stored[1:], _LARGEST_BYTES)
    except zlib.error as error:
        raise InvalidJobError(f"stored JSON cannot be unpacked: {error}") from error
    if not unpacking.eof:
        raise InvalidJobError("stored JSON cannot be unpacked: it is cut off, or far too large")
    return raw
