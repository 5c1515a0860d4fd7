"""Orders that the store chooses (the members of a set, one by one), found again from what it left behind.

A verb of the model that has to know such an order asks for one choice after another. What the server
shows afterwards suggests each; where it tells too little, all others are tried in turn.
"""

from collections.abc import Sequence

from tests.torture.model import Queue
from tests.torture.model_kin import Chooser
from tests.torture.observe import Snapshot

MOST_TRIALS = 400


class Choices:
    """One search for the choices that lead to what was seen."""

    def __init__(self, seen: Snapshot) -> None:
        """Search with the help of `seen`."""
        self._seen = seen
        self._left = {parent: set(children) for parent, children in seen.of_kind("children").items()}
        self._prefix: list[int] = []
        self._made: list[tuple[int, int]] = []
        self._trials = 0

    def may_branch(self, queue: Queue) -> bool:
        """Whether a verb of this queue may have to choose."""
        return sum(map(len, queue.children.values())) > 1

    def begin(self) -> Chooser:
        """A chooser for the next trial."""
        self._made = []
        self._trials += 1
        return self._choose

    def go_on(self) -> bool:
        """Turn to the next choices; false when all were tried."""
        while self._made:
            chosen, options = self._made.pop()
            if chosen + 1 < options:
                self._prefix = [each for each, _ in self._made] + [chosen + 1]
                return self._trials < MOST_TRIALS
        return False

    def _choose(self, parent: str, options: Sequence[str]) -> str:
        told = [child for child in options if child not in self._left.get(parent, ())] or list(options)
        told.sort(key=self._rank)
        at = len(self._made)
        chosen = self._prefix[at] if at < len(self._prefix) and self._prefix[at] < len(told) else 0
        self._made.append((chosen, len(told)))
        return told[chosen]

    def _rank(self, child: str) -> tuple[int, ...]:
        """Where the child came to stand: later ids and places were given later."""
        for name, line in self._seen.of_kind("line").items():
            if child in line:
                return (2, line[child], len(name))
        for place, (message_id, job_id) in enumerate(self._messages()):
            if job_id == child:
                return (1, *(int(part) for part in message_id.split("-")), place)
        for place, (_, fields) in enumerate(self._seen.stream("crossings")):
            if fields["child"] == child:
                return (0, place)
        return (0,)

    def _messages(self) -> list[tuple[str, str]]:
        return [entry for entries in self._seen.lanes.values() for entry in entries]
