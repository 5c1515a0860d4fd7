"""Running `python -m penstock` as a user does, to its end."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
LONGEST_SECONDS = 90.0
TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended and what it wrote."""

    code: int
    stdout: str
    stderr: str

    @property
    def error(self) -> str:
        """The one line of an error; fails when there is another line, or a traceback."""
        assert TRACEBACK not in self.stderr, self.stderr
        lines = self.stderr.splitlines()
        assert len(lines) == 1, self.stderr
        assert lines[0].startswith("penstock: error: "), self.stderr
        return lines[0].removeprefix("penstock: error: ")


def environment(redis_url: str | None, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a command finds in its environment: this code, and no server but the given one."""
    inherited = os.environ.get("PYTHONPATH")
    paths = [str(REPOSITORY), str(REPOSITORY / "src"), *([inherited] if inherited else [])]
    kept = {name: value for name, value in os.environ.items() if not name.endswith("REDIS_URL")}
    given = {} if redis_url is None else {"PENSTOCK_REDIS_URL": redis_url}
    # Wide enough that no message is broken where a test reads it.
    settings = {"PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "200"}
    return {**kept, **settings, **given, **(extra or {})}


async def penstock(
    *words: str,
    redis_url: str | None = None,
    stdin: bytes | None = None,
    cwd: Path | None = None,
    extra_environment: Mapping[str, str] | None = None,
) -> Finished:
    """Run one command and wait for its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "penstock", *words),
        stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=cwd,
        env=environment(redis_url, extra_environment),
    )
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            stdout, stderr = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Finished(process.returncode, stdout.decode(), stderr.decode())


def written(folder: Path, files: Mapping[str, Any]) -> Path:
    """Write files (text, or bytes) below `folder` and return it."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else str(content).encode())
    return folder


def tracebacks(output: str) -> list[str]:
    """Each traceback in ``output``, with the lines that follow it."""
    lines = output.splitlines()
    return ["\n".join(lines[at : at + 40]) for at, line in enumerate(lines) if TRACEBACK in line]
