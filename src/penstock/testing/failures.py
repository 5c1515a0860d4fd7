"""Failures on demand, as they happen to a real client: at its connection, and to its process."""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from penstock.core.errors import ConfigurationError, LeaseLostError
from penstock.core.outcomes import Outcome
from penstock.store.connect import Client, open_client
from penstock.store.scripts import load, scripts_by_call

if TYPE_CHECKING:
    from penstock.store.engine import Engine

_ANY = "*"


class Failures:
    """What shall fail next on the queues of one test.

    Calls are named as the store names them: ``enqueue``, ``claim``, ``settle``, ``step``, ``progress``,
    ``emit``, ``cancel``, ``signal`` and so on.
    """

    def __init__(self) -> None:
        """Nothing fails yet."""
        self._refused: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._killed: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}

    def fail_next(self, call: str, times: int = 1) -> None:
        """Cut the connection before the next ``times`` calls: they do not reach the server."""
        self._refused[_checked(call)] += times

    def lose_reply_of(self, call: str, times: int = 1) -> None:
        """Cut the connection after the next ``times`` calls: they take effect, and nobody hears of it."""
        self._lost[_checked(call)] += times

    def kill_handler(self, job_type: str | None = None, times: int = 1, *, after_work: bool = False) -> None:
        """Let a job's next ``times`` attempts die as if their worker's process were killed.

        Nothing is settled, the attempt is charged as a crash, and the job is taken over at once. The
        handler is not called, or with ``after_work`` it has done all its work. For any job type if
        ``None``. Works for what ``run_until_idle`` runs.
        """
        self._killed[after_work][job_type or _ANY] += times

    @property
    def left(self) -> int:
        """How many failures were asked for and have not happened."""
        return sum(counter.total() for counter in (self._refused, self._lost, *self._killed.values()))

    def client(self, url: str) -> Client:
        """A client for queues whose calls are to fail; the caller closes it."""
        client = open_client(url)
        pool: Any = client.connection_pool  # type: ignore[union-attr]
        pool.connection_class = type(
            "FailingConnection", (_Failing, pool.connection_class), {"failures": self}
        )
        return client

    @staticmethod
    def of(client: Client) -> Failures | None:
        """The failures that a client made by ``client`` obeys, ``None`` for another one."""
        pool: Any = getattr(client, "connection_pool", None)
        found: Failures | None = getattr(getattr(pool, "connection_class", None), "failures", None)
        return found

    def take_refusal(self, calls: Iterable[str]) -> str | None:
        """The first of ``calls`` that is not to reach the server, which is thereby used up."""
        return _take(self._refused, calls)

    def take_loss(self, calls: Iterable[str]) -> str | None:
        """The first of ``calls`` whose reply is to be lost, which is thereby used up."""
        return _take(self._lost, calls)

    def middleware(self, engine: Engine) -> Any:
        """What a worker puts around its handlers so that ``kill_handler`` works."""

        async def killing(context: Any, call_next: Any) -> Any:
            kinds = (context.job.type, _ANY)
            if _take(self._killed[False], kinds):
                await _die(engine, context.id)
            result = await call_next(context)
            if _take(self._killed[True], kinds):
                await _die(engine, context.id)
            return result

        return killing


class _Failing:
    """Put before a connection class: sees each script that is called, and cuts where it is told to."""

    failures: Failures

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._calls: list[str] = []
        self._to_lose: str | None = None

    def pack_command(self, *args: Any) -> Any:
        if args[0] == "EVALSHA":
            self._calls.append(_names_by_sha().get(args[1], ""))
        return super().pack_command(*args)  # type: ignore[misc]

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        calls, self._calls = self._calls, []
        refused = self.failures.take_refusal(calls)
        if refused is not None:
            await self._cut(refused, "before")
        self._to_lose = self.failures.take_loss(calls)
        await super().send_packed_command(command, check_health)  # type: ignore[misc]

    async def read_response(self, *args: Any, **options: Any) -> Any:
        lost, self._to_lose = self._to_lose, None
        try:
            response = await super().read_response(*args, **options)  # type: ignore[misc]
        except Exception:
            # Not executed (the server did not know the script yet): the call comes again.
            if lost is not None:
                self.failures.lose_reply_of(lost)
            raise
        if lost is not None:
            await self._cut(lost, "after")
        return response

    async def _cut(self, call: str, when: str) -> None:
        await self.disconnect(nowait=True)  # type: ignore[attr-defined]
        raise ConnectionResetError(f"cut by the test {when} the call {call!r}")


async def _die(engine: Engine, job_id: str) -> None:
    client: Any = engine.client
    lease = await client.hget(engine.keys.job + job_id, "lease")
    await engine.settle([Outcome(job_id, lease.decode(), "lapse")])
    raise LeaseLostError(f"the test killed the handler of job {job_id}")


def _take(wanted: Counter[str], names: Iterable[str]) -> str | None:
    for name in names:
        if wanted[name] > 0:
            wanted[name] -= 1
            return name
    return None


def _checked(call: str) -> str:
    known = scripts_by_call()
    if call not in known:
        close = difflib.get_close_matches(call, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
        raise ConfigurationError(f"the store has no call {call!r}; {hint}")
    return call


@cache
def _names_by_sha() -> dict[str, str]:
    return {
        hashlib.sha1(load(script).source.encode(), usedforsecurity=False).hexdigest(): call
        for call, scripts in scripts_by_call().items()
        for script in scripts
    }
