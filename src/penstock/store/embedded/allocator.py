"""The memory allocator under the embedded server: jemalloc, where the machine has it.

Distributions and the official images build their servers with it, because the C library's allocator slows
down with what has passed through a server. The wheel's server is built without.
"""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = "libjemalloc.so.2"
_PLACES = (f"/usr/lib/{platform.machine()}-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")
_PROBE_SECONDS = 5.0


def environment_for(binary: Path, places: Sequence[str | Path] = _PLACES) -> dict[str, str] | None:
    """The environment to start ``binary`` in; ``None`` for the caller's own.

    It names the first jemalloc found in ``places`` if the loader takes it and the server has no allocator of
    its own. Whoever preloads something already keeps exactly that.
    """
    library = next((path for place in places if (path := Path(place) / _NAME).is_file()), None)
    if platform.system() != "Linux" or library is None or "LD_PRELOAD" in os.environ:
        return None
    return os.environ | {"LD_PRELOAD": str(library)} if _runs_on(binary, library) else None


@functools.cache
def _runs_on(binary: Path, library: Path) -> bool:
    """Whether the loader takes the library, and the server has no allocator of its own."""
    try:
        probe = subprocess.run(
            [binary, "--version"],
            env=os.environ | {"LD_PRELOAD": str(library)},
            capture_output=True,
            check=False,
            timeout=_PROBE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    # The loader says on stderr what it could not take, and goes on.
    return probe.returncode == 0 and not probe.stderr and b"malloc=libc" in probe.stdout
