"""The systems that are measured, and where their players, environments and sources are."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import penstock

PLAYERS = Path(__file__).resolve().parent / "players"
SOURCES = Path(penstock.__file__).resolve().parents[1]
PEERS = ("dramatiq", "taskiq", "saq", "bullmq", "huey", "arq", "streaq", "rq", "celery")
LABELS = {"penstock": "Penstock", "raw": "bare redis-py", "taskiq": "taskiq-redis", "saq": "SAQ",
          "bullmq": "BullMQ (Python)", "rq": "RQ", "celery": "Celery"}  # fmt: skip

_STARTER = "from {common} import main; from {module} import PLAYER; main(PLAYER)"


@dataclass(frozen=True, slots=True)
class System:
    """How one system is played.

    ``rates`` are jobs a second expected before anything is known: at concurrency 1, above it, and
    for enqueueing in bulk. They only decide how many jobs a first measure takes.
    """

    name: str
    python: str
    common: str
    module: str
    paths: tuple[Path, ...]
    rates: tuple[int, int, int]
    options: dict[str, object] = field(default_factory=dict)

    @property
    def is_peer(self) -> bool:
        """Whether it is neither Penstock nor the ceiling."""
        return self.name in PEERS

    def command(self, role: str) -> list[str]:
        """What to run for a role of ``players.player``."""
        return [self.python, "-c", _STARTER.format(common=self.common, module=self.module), role]

    def python_path(self) -> str:
        """Where its modules are found."""
        own = [str(path) for path in self.paths]
        # What leads to Penstock's own libraries has no place in a peer's environment.
        inherited = [] if self.is_peer else [os.environ.get("PYTHONPATH", "")]
        return os.pathsep.join(filter(None, [*own, *inherited]))


def penstock_at(sources: Path = SOURCES, name: str = "penstock", **options: object) -> System:
    """Penstock as it stands in a source folder, on this interpreter."""
    players = "penstock.bench.players"
    return System(
        name,
        sys.executable,
        f"{players}.player",
        f"{players}.penstock_player",
        (sources,),
        (3000, 30_000, 60_000),
        options,
    )


def bare_redis() -> System:
    """The ceiling."""
    players = "penstock.bench.players"
    return System(
        "raw",
        sys.executable,
        f"{players}.player",
        f"{players}.raw_player",
        (SOURCES,),
        (3000, 90_000, 90_000),
    )


def source_tree() -> Path | None:
    """The folder that holds ``bench/peers``; ``None`` for an installed package run elsewhere."""
    for folder in (SOURCES.parent, Path.cwd()):
        if (folder / "bench" / "peers").is_dir():
            return folder
    return None


def peer(tree: Path, name: str) -> System:
    """A peer in its own environment under ``.bench``."""
    python = tree / ".bench" / name / "bin" / "python"
    return System(
        name,
        str(python),
        "player",
        f"{name}_peer",
        (PLAYERS, tree / "bench" / "peers"),
        (600, 2500, 3000),
    )
