"""Parents and children in the model. A child listens to each parent once.

A parent on another queue is written `queue/id`.
"""

from collections.abc import Callable, Iterable, Sequence

from tests.torture.model_ends import Ends
from tests.torture.model_parts import ModelJob

#: Picks one of several jobs where the order is the store's affair.
Chooser = Callable[[str, Sequence[str]], str]


def first(_: str, options: Sequence[str]) -> str:
    """The choice where only one is possible, or none matters."""
    return options[0]


class Kin(Ends):
    """Who waits for whom, and how an end is told."""

    choose: Chooser = staticmethod(first)

    def bear(self, parent_id: str, child_id: str) -> bool:
        """Have the child told when the parent ends; false if that has happened."""
        parent = self.jobs.get(parent_id)
        if parent is None or parent.damage == "type" or parent.ended:
            return False
        self.children.setdefault(parent_id, set()).add(child_id)
        parent.bears = True
        return True

    def ending_of(self, parent_id: str) -> tuple[str, bytes]:
        """How a parent has ended and with what; its status if it has not."""
        parent = self.jobs.get(parent_id)
        if parent is None:
            return "gone", b""
        if parent.damage == "type":
            return "failed", b""
        return parent.status, parent.result if parent.status == "completed" else parent.error.encode()

    def line_of(self, parents: Iterable[str]) -> set[str]:
        """Whom one with these parents waits for, by itself or through others."""
        line: set[str] = set()
        ahead = list(parents)
        while ahead:
            job_id = ahead.pop()
            if job_id not in line:
                line.add(job_id)
                ahead += self.parents.get(job_id, ())
        return line

    def join(self, job: ModelJob) -> None:
        """Jobs that wait already wait for this one too."""
        for target in job.options.joins:
            self.parents[target].add(job.id)
            self.children.setdefault(job.id, set()).add(target)
            job.bears = True

    def stand_by_parents(self, job: ModelJob, now: int) -> None:
        parents = job.options.parents
        self.parents[job.id] = set(parents)
        self.index["waiting"][job.id] = now
        ended = [parent for parent in parents if "/" not in parent and not self.bear(parent, job.id)]
        for parent in ended:
            self.tell_child(job.id, parent, *self.ending_of(parent), now)

    def tell_child(self, child_id: str, parent_id: str, status: str, body: bytes, now: int) -> str:
        """The child goes on when it waits for no other, or ends as its policy says."""
        waits_for = self.parents.get(child_id, set())
        if parent_id not in waits_for:
            return "known"
        waits_for.remove(parent_id)
        if not waits_for:
            del self.parents[child_id]
        child = self.jobs.get(child_id)
        if child is not None and child.damage:
            self.quarantine(child, "waiting", now)
        if child is None or child.status != "waiting":
            return "known"
        policy = child.options.on_failure
        if status != "completed" and policy != "run":
            ending = "failed" if policy == "fail" else "cancelled"
            self.finish(child, ending, now, f"ParentFailed: its parent {parent_id} ended as {status}")
            return "ended"
        self.inputs.setdefault(child_id, {})[parent_id] = (status, body)
        if waits_for:
            return "waiting"
        self.leave(child)
        if child.due is not None and child.due > now:
            self.scheduled[child_id] = child.due
            self.move(child, "scheduled")
        else:
            self.make_ready(child, now)
        return "ready"

    def resolve(self, most: int, now: int) -> None:
        """Tell up to `most` children of parents that have ended; one that was put back has not."""
        told = 0
        while told < most and self.fanout:
            parent_id = self.fanout[0]
            parent = self.jobs.get(parent_id)
            if parent is not None and not parent.damage and not parent.ended:
                self.fanout.pop(0)
                continue
            status, body = self.ending_of(parent_id)
            while told < most and self.children.get(parent_id):
                child = self.choose(parent_id, sorted(self.children[parent_id]))
                self._forget_child(parent_id, child)
                told += 1
                if "/" in child:
                    self.crossings.append((child, parent_id, status, body))
                else:
                    self.tell_child(child, parent_id, status, body, now)
            if parent_id not in self.children:
                self.fanout.pop(0)

    def _forget_child(self, parent_id: str, child: str) -> None:
        self.children[parent_id].remove(child)
        if not self.children[parent_id]:
            del self.children[parent_id]

    def link(self, parent_id: str, child: str) -> tuple[str, bytes]:
        """A child on another queue is told, unless the parent is gone or has ended."""
        status, body = self.ending_of(parent_id)
        if status == "gone" or not self.bear(parent_id, child):
            return status, body
        return "linked", b""
