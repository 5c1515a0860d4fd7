"""A clock that jumps: all processes of a scenario read its distance from the true time in one file."""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path

_DISTANCE = struct.Struct("<q")


class JumpingClock:
    """Script time for every process that has opened the same file."""

    def __init__(self, path: Path) -> None:
        """Open the file at ``path``, or make it: a clock that has not jumped yet."""
        if not path.exists():
            path.write_bytes(_DISTANCE.pack(0))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _DISTANCE.size)

    @property
    def distance_ms(self) -> int:
        """How far it is ahead of the true time, in milliseconds."""
        return int(_DISTANCE.unpack_from(self._shared)[0])

    def jump(self, seconds: float) -> None:
        """Move it for everyone at once; a negative amount moves it back."""
        _DISTANCE.pack_into(self._shared, 0, self.distance_ms + round(seconds * 1000))

    def script_time_ms(self) -> int | None:
        """The time that scripts are told, in milliseconds since the epoch."""
        return round(time.time() * 1000) + self.distance_ms
