"""Who acts on the queue of a state machine, and what all machines of this process have seen."""

from collections import Counter
from dataclasses import dataclass, field

from penstock.core.outcomes import Claimed
from penstock.core.timings import LeaseTimings
from penstock.store.engine import Engine
from tests.torture.model_parts import SUSPECT_CRASHES, Request

JOB_IDS = [f"job-{number}" for number in range(12)]
STORY_IDS = [f"story-{number}" for number in range(16)]
WORKERS = ["ann", "bob", "cid"]
MOST_STEPS, MOST_ENTRIES, MOST_SIGNALS, MOST_EVENTS = 3, 3, 2, 120
HISTORY = "history"
LARGE = "x" * 20_000
TIMINGS = LeaseTimings()
DEQUEUED_MS = 60_000
DAY_MS = 86_400_000

Edge = tuple[str, str]

#: Every move seen by any machine of this process, and every code that a script answered.
EDGES: Counter[Edge] = Counter()
CODES: Counter[str] = Counter()


@dataclass
class SimulatedWorker:
    """What a worker process knows."""

    name: str
    incarnation: str
    held: dict[str, Claimed] = field(default_factory=dict)
    last: Request | None = None
    unanswered: bool = False

    @property
    def seats(self) -> int:
        return 0 if any(claimed.crashes >= SUSPECT_CRASHES for claimed in self.held.values()) else 1


@dataclass
class Steering:
    """All queues within reach, each of which is the one queue of the machine."""

    home: Engine

    def engine(self, _: str) -> Engine:
        """The engine of a queue."""
        return self.home
