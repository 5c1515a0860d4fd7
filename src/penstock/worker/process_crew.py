"""Processes for functions that burn CPU or hold the GIL: one job at a time each, so each dies alone."""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from penstock.worker.thread_crew import ThreadCrew

_PR_SET_PDEATHSIG = 1
_context = multiprocessing.get_context("spawn")


class ProcessDied(RuntimeError):  # noqa: N818 - named for the error text of the job
    """The process that ran a job's function ended before the function did."""


class ProcessCrew:
    """Runs functions in processes that are reused; one that dies or is killed takes only its own job."""

    def __init__(self, most: int, threads: ThreadCrew) -> None:
        """At most ``most`` processes; ``threads`` do the waiting for them."""
        self._seats = asyncio.Semaphore(most)
        self._threads = threads
        self._idle: list[_Member] = []
        self._busy: set[_Member] = set()

    async def run(self, function: Callable[[Any], Any], payload: Any) -> Any:
        """Call ``function(payload)`` in a process and return or raise what it does.

        Raises ``ProcessDied`` when the process ends first. A cancelled call kills the process, and
        is over when the process is.
        """
        async with self._seats:
            member = self._idle.pop() if self._idle else _Member()
            self._busy.add(member)
            try:
                answer = await self._threads.run(member.perform, function, payload)
            except BaseException:
                member.kill()
                raise
            finally:
                self._busy.discard(member)
            self._idle.append(member)
        is_value, value = answer
        if is_value:
            return value
        raise value

    def close(self) -> None:
        """Kill every process."""
        for member in (*self._idle, *self._busy):
            member.kill()
        self._idle.clear()


class _Member:
    """A process and the pipe to it."""

    def __init__(self) -> None:
        self._pipe, theirs = _context.Pipe()
        self._process = _context.Process(target=_serve, args=(theirs, os.getpid()), daemon=True)
        self._process.start()
        theirs.close()

    def perform(self, function: Callable[[Any], Any], payload: Any) -> tuple[bool, Any]:
        """Blocks until the process has answered."""
        try:
            self._pipe.send((function, payload))
            answer: tuple[bool, Any] = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode or 0
            how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
            raise ProcessDied(f"the process that ran this job's function died ({how})") from None
        return answer

    def kill(self) -> None:
        """End the process, whatever it does, and wait until it has ended."""
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection, parent: int) -> None:
    _end_with_parent(parent)
    while True:
        try:
            function, payload = pipe.recv()
        except EOFError:
            return
        pipe.send(_answer(function, payload))


def _answer(function: Callable[[Any], Any], payload: Any) -> tuple[bool, Any]:
    try:
        answer: tuple[bool, Any] = (True, function(payload))
    except BaseException as error:
        error.add_note(traceback.format_exc())
        answer = (False, error)
    try:
        pickle.loads(pickle.dumps(answer))  # noqa: S301 - our own bytes: does the answer survive the way?
    except Exception as error:
        kind = "returned a value" if answer[0] else f"raised {answer[1]!r}, an error"
        return False, TypeError(f"the function {kind} that cannot be passed between processes: {error}")
    return answer


def _end_with_parent(parent: int) -> None:
    """A worker's processes outlive neither it nor its grace: only the worker says when they end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=_exit_after_parent, daemon=True).start()


def _exit_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
