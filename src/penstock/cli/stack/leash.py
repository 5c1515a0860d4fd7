"""Children end when their parent does, however that ended.

The parent holds the other end of a child's standard input. When it closes, because the parent was
killed, the child asks itself to stop by SIGTERM, and so stops in order.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

_READ_BYTES = 1024


def stop_with_parent() -> None:
    """From now on, the end of standard input is a SIGTERM for this process."""
    threading.Thread(target=_wait_for_the_end, name="leash", daemon=True).start()


def _wait_for_the_end() -> None:
    # Unbuffered, so that nothing is locked when the interpreter ends while this waits.
    while os.read(sys.__stdin__.fileno() if sys.__stdin__ else 0, _READ_BYTES):
        continue
    os.kill(os.getpid(), signal.SIGTERM)
