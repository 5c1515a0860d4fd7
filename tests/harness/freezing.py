"""Freezing a process, and knowing that it stands still."""

import os
import signal


def freeze(pid: int, *, group: bool = False) -> None:
    """Stop a child process, or the whole group it leads, and return when the child stands still.

    Returns at once when the child has ended instead.
    """
    if group:
        os.killpg(pid, signal.SIGSTOP)
    else:
        os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
