"""Writes constraints.txt: one exact version for everything that any extra of Penstock installs.

pip resolves the project with all its extras, without installing anything, and the names and
versions it reports are written down. No index, address or hash is kept, so the file holds for any
mirror. Packages that only some platforms or Python versions need keep the pin they had.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
HEADER = """\
# Exact versions of everything Penstock and its extras install, used by `make setup`.
# Written by `make pins`; names and versions only.
"""
# What builds the project, editable installs included.
BUILD_BACKEND = ("hatchling", "editables")


def canonical(name: str) -> str:
    """The one spelling of a distribution name that indexes compare."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned() -> dict[str, str]:
    """The versions constraints.txt holds now, by canonical name."""
    lines = CONSTRAINTS.read_text().splitlines() if CONSTRAINTS.exists() else []
    pins = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {canonical(name): version for name, version in pins}


def resolved(constraint_arguments: list[str]) -> dict[str, str]:
    """What pip would install for the project with all its extras, by canonical name."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "-qq"]
        command += ["--report", str(report), *constraint_arguments]
        subprocess.run([*command, f"{ROOT}[all,dev]", *BUILD_BACKEND], check=True)
        items = json.loads(report.read_text())["install"]
    found = {canonical(item["metadata"]["name"]): item["metadata"]["version"] for item in items}
    del found["penstock"]
    return found


def main() -> None:
    """Resolves and writes; with `--keep`, versions that are pinned already stay."""
    keep = ["-c", str(CONSTRAINTS)] if "--keep" in sys.argv[1:] else []
    pins = pinned() | resolved(keep)
    lines = sorted(f"{name}=={version}\n" for name, version in pins.items())
    CONSTRAINTS.write_text(HEADER + "".join(lines))
    print(f"{CONSTRAINTS.name}: {len(lines)} pins")


if __name__ == "__main__":
    main()
