"""The board between a worker and its heartbeat process: a small piece of shared memory.

The worker writes which leases it holds, that its event loop turns, and whose code is on its stack.
The heartbeat process reads it without asking, because a worker that is blocked cannot answer.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterable
from typing import NamedTuple

_TURNS, _SERIAL, _VERSION, _LENGTH, _NOW, _BREATHS = 0, 1, 2, 3, 4, 5
_HEADER_BYTES = 64
BYTES_A_LEASE = 320


class HeldLease(NamedTuple):
    """A lease on the board; ``in_thread`` when its handler runs in a thread of the worker."""

    serial: int
    in_thread: bool
    id: str
    lease: str


class BeatBoard:
    """The board; the worker creates it, the heartbeat process opens it by file descriptor."""

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        """Map an open file."""
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, size_bytes)
        self._words = memoryview(self._map)[:_HEADER_BYTES].cast("Q")
        self.size_bytes = size_bytes

    @classmethod
    def create(cls, most_leases: int) -> BeatBoard:
        """A board with room for ``most_leases``, in a file that nobody else can name."""
        size = _HEADER_BYTES + BYTES_A_LEASE * most_leases
        size += -size % mmap.PAGESIZE
        descriptor, path = tempfile.mkstemp(prefix="penstock-")
        os.unlink(path)  # noqa: PTH108 - the descriptor is all that is needed
        os.ftruncate(descriptor, size)
        return cls(descriptor, size)

    def close(self) -> None:
        """Let the memory go."""
        self._words.release()
        self._map.close()
        os.close(self.descriptor)

    def mark(self, serial: int) -> None:
        """Say whose code is on the loop's stack: an attempt's serial, or 0."""
        self._words[_SERIAL] = serial

    def turn(self, now_ms: int | None) -> None:
        """Say that the event loop has turned once more; ``now_ms`` is a test's clock, if there is one."""
        self._words[_TURNS] += 1
        self._words[_NOW] = now_ms or 0

    def breathe(self) -> None:
        """Say that a thread beside the loop has had its turn: nobody keeps the interpreter lock."""
        self._words[_BREATHS] += 1

    @property
    def breaths(self) -> int:
        """How often a thread beside the loop has had its turn."""
        return self._words[_BREATHS]

    @property
    def now_ms(self) -> int | None:
        """The time scripts are to use, ``None`` for the server's own."""
        return self._words[_NOW] or None

    @property
    def turns(self) -> int:
        """How often the loop has turned."""
        return self._words[_TURNS]

    @property
    def serial(self) -> int:
        """Whose code is on the loop's stack."""
        return self._words[_SERIAL]

    def post(self, lines: Iterable[str]) -> None:
        """Write the leases held, one line each (see ``line``)."""
        text = "\n".join(lines).encode()
        if len(text) > self.size_bytes - _HEADER_BYTES:
            raise MemoryError(f"the board has {self.size_bytes} bytes, {len(text)} are needed")
        # Odd while the text is being written, so that a reader never takes half of it.
        self._words[_VERSION] += 1
        self._map[_HEADER_BYTES : _HEADER_BYTES + len(text)] = text
        self._words[_LENGTH] = len(text)
        self._words[_VERSION] += 1

    def read(self) -> list[HeldLease] | None:
        """The leases held, or ``None`` if they are just being written."""
        version = self._words[_VERSION]
        text = self._map[_HEADER_BYTES : _HEADER_BYTES + self._words[_LENGTH]]
        if version % 2 or version != self._words[_VERSION]:
            return None
        return [_read_line(line) for line in text.decode().split("\n") if line]


def line(serial: int, in_thread: bool, job_id: str, lease: str) -> str:
    """A lease as one line of the board."""
    return f"{serial} {int(in_thread)} {job_id} {lease}"


def _read_line(text: str) -> HeldLease:
    serial, in_thread, job_id, lease = text.split(" ")
    return HeldLease(int(serial), in_thread == "1", job_id, lease)
