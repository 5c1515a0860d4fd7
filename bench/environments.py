"""Make an environment for each peer of the benchmark under `.bench`, from its pinned versions.

    python bench/environments.py [PEER ...]          those that are missing or out of date
    python bench/environments.py --pin [PEER ...]    from what is newest today, and pin that

One that cannot be made is reported, and the others are made all the same.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
HOME = TREE / ".bench"
WANTED = {
    "dramatiq": ["dramatiq[redis]", "hiredis"],
    "taskiq": ["taskiq", "taskiq-redis", "hiredis", "uvloop", "orjson"],
    # Its requirements leave out typing_extensions, which it imports.
    "saq": ["saq[redis,hiredis]", "typing_extensions", "uvloop"],
    "bullmq": ["bullmq", "hiredis", "uvloop"],
    "huey": ["huey", "redis", "hiredis"],
    "arq": ["arq", "hiredis", "uvloop"],
    "streaq": ["streaq", "uvloop"],
    "rq": ["rq", "hiredis"],
    "celery": ["celery[redis]", "hiredis"],
}
LIMIT_SECONDS = 240


def say(line: str) -> None:
    """One line on standard error."""
    sys.stderr.write(line + "\n")


def constraints(name: str) -> Path:
    """The file of a peer's pinned versions."""
    return TREE / "bench" / f"constraints-{name}.txt"


def mark(name: str) -> str:
    """Changes when another environment is wanted."""
    pins = constraints(name)
    text = " ".join(WANTED[name]) + (pins.read_text("utf-8") if pins.exists() else "") + sys.version
    return hashlib.sha256(text.encode()).hexdigest()


def make(name: str, *, pin: bool) -> None:
    """Make or renew one environment; `CalledProcessError` or `TimeoutExpired` when it fails."""
    home, stamp = HOME / name, HOME / name / ".made"
    if not pin and stamp.exists() and stamp.read_text("utf-8") == mark(name):
        return
    say(f"{name}: making {home.relative_to(TREE)}")
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home, with_pip=True)
    pip = [str(home / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    pinned = [] if pin else ["--constraint", str(constraints(name))]
    subprocess.run([*pip, "install", *pinned, *WANTED[name]], check=True, timeout=LIMIT_SECONDS)
    if pin:
        frozen = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True)
        head = "# What `python bench/environments.py --pin` found\n"
        constraints(name).write_text(head + frozen.stdout, encoding="utf-8")
    stamp.write_text(mark(name), encoding="utf-8")


def main() -> int:
    """Return 1 if one could not be made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pin", action="store_true", help="take the newest versions and pin them")
    parser.add_argument("peers", nargs="*", metavar="PEER", help=", ".join(WANTED))
    asked = parser.parse_args()
    unknown = [name for name in asked.peers if name not in WANTED]
    if unknown:
        parser.error(f"no such peer: {', '.join(unknown)}; there are {', '.join(WANTED)}")
    failed = False
    for name in asked.peers or WANTED:
        try:
            make(name, pin=asked.pin)
        except (subprocess.SubprocessError, OSError) as error:
            failed = True
            say(f"{name}: cannot be made: {error}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
