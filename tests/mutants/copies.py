"""Copies of the project, in which mutants live and die: the tree itself is never touched."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.mutants.mutant import Mutant

COPIED = ("src", "tests", "examples", "docs", "pyproject.toml", "Makefile", "README.md")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*_cache", ".import_linter_cache")
#: A mutant under which the tests do not end is found out as well.
MOST_SECONDS = 300


class Run(NamedTuple):
    """What became of a run of tests: those that failed, and the end of what was printed."""

    is_good: bool
    failed: list[str]
    tail: str


class Copy:
    """One copy of the project in a directory of its own."""

    def __init__(self, root: Path, directory: Path) -> None:
        """Copy the project at `root` to `directory`."""
        self._directory = directory
        for name in COPIED:
            source = root / name
            if source.is_dir():
                shutil.copytree(source, directory / name, ignore=LEFT_OUT)
            elif source.exists():
                shutil.copy2(source, directory / name)

    def run(self, killers: Sequence[str], *, stop_at_first: bool = True) -> Run:
        """Run tests in the copy."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
        command += ["-x"] * stop_at_first + ["--timeout", "120"]
        command += [f"tests/{killer}" for killer in killers]
        environment = os.environ | {
            "PYTHONPATH": str(self._directory / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        try:
            done = subprocess.run(
                command,
                cwd=self._directory,
                env=environment,
                capture_output=True,
                text=True,
                timeout=MOST_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Run(False, ["(the tests do not end)"], "")
        lines = done.stdout.splitlines()
        failed = [line.split()[1] for line in lines if line.startswith(("FAILED tests/", "ERROR tests/"))]
        return Run(done.returncode == 0, failed, "\n".join(lines[-15:]) + done.stderr[-2000:])

    def run_mutated(self, mutant: Mutant) -> Run:
        """Run a mutant's killers with its guard taken out, and put the guard back."""
        path = self._directory / mutant.file
        whole = path.read_text(encoding="utf-8")
        path.write_text(whole.replace(mutant.text, mutant.replacement, 1), encoding="utf-8")
        try:
            return self.run(mutant.killers)
        finally:
            path.write_text(whole, encoding="utf-8")
