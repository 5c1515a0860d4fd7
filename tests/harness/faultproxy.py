"""A network that loses, delays and cuts on command, between a client and a real server.

    proxy = await make_proxy(server)
    rule = proxy.swallow("EVALSHA", times=1)    # executed by the server, never heard of again
    ...                                         # drive the code under test over proxy.url
    await rule.hit()

The rules about replies leave `-NOSCRIPT` alone, for then the server has executed nothing. Inside
MULTI a command's own reply is `+QUEUED`; name EXEC to lose the outcome of a transaction.
"""

import asyncio
from collections import Counter

from penstock.store.embedded.ports import HOST, free_port
from tests.harness.link import Link
from tests.harness.rules import ON_ARRIVAL, Command, Effect, Match, Rule, named
from tests.harness.servers import PORT_TRIES
from tests.harness.waiting import Signal


class FaultProxy:
    """A TCP proxy in front of the server at `target_port`. Use it in one event loop only.

    `commands` counts what arrived, by name. `round_trips` counts how often a client began to wait:
    a pipeline is one, whatever it carries.
    """

    def __init__(self, target_port: int) -> None:
        self.commands: Counter[str] = Counter()
        self.round_trips = 0
        self._target_port = target_port
        self._port: int | None = None
        self._listener: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], Link] = {}
        self._rules: list[Rule] = []
        self._arrivals = Signal()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._failures: list[BaseException] = []

    @property
    def port(self) -> int:
        """The port clients connect to, the same from the first `start` on."""
        if self._port is None:
            raise RuntimeError("the proxy has not been started: it has no port yet")
        return self._port

    @property
    def url(self) -> str:
        """What a client is to be given as its Redis URL."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def connections(self) -> int:
        """How many client connections are open."""
        return len(self._links)

    async def start(self) -> None:
        """Accept connections, on the old port if there was one."""
        for tries_left in reversed(range(PORT_TRIES)):
            port = self._port or free_port()
            try:
                self._listener = await asyncio.start_server(self._accept, HOST, port)
            except OSError:
                if not tries_left:
                    raise
                continue
            self._port = port
            return

    async def refuse(self) -> None:
        """Be a dead host: cut every connection and refuse new ones until `start`."""
        if self._listener is not None:
            self._listener.close()
            await self.cut()
            await self._listener.wait_closed()
            self._listener = None

    async def stop(self) -> None:
        """Close everything. Raises what went wrong inside the proxy itself, if anything did."""
        await self.refuse()
        if self._failures:
            raise BaseExceptionGroup("the fault proxy failed", self._failures)

    async def cut(self) -> None:
        """Cut all connections of this moment; new ones are accepted."""
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    def stall(self) -> None:
        """Let nothing through in either direction: half-open, for old and new connections."""
        self._flowing.clear()

    def flow(self) -> None:
        """End `stall`; what waited goes on in its order."""
        self._flowing.set()

    def watch(self, match: str | Match) -> Rule:
        """Change nothing, but count matching commands as they arrive and allow to await them."""
        return self._add(Effect.WATCH, match, None)

    def swallow(self, match: str | Match, times: int | None = 1) -> Rule:
        """Drop the reply once the server has executed; the connection stays open, silent for good.

        Later commands on that connection still reach the server.
        """
        return self._add(Effect.SWALLOW, match, times)

    def cut_before(self, match: str | Match, times: int | None = 1) -> Rule:
        """Cut the connection instead of passing the command on: the server never sees it."""
        return self._add(Effect.CUT_BEFORE, match, times)

    def cut_after(self, match: str | Match, times: int | None = 1) -> Rule:
        """Cut the connection once the server has executed, without passing the reply on."""
        return self._add(Effect.CUT_AFTER, match, times)

    def hold(self, match: str | Match, times: int | None = 1) -> Rule:
        """Keep the reply, and all that follow on its connection, back until `rule.release()`."""
        return self._add(Effect.HOLD, match, times)

    def delay(self, match: str | Match, seconds: float, times: int | None = None) -> Rule:
        """Keep the reply, and all that follow on its connection, back for some time."""
        return self._add(Effect.DELAY, match, times, seconds)

    async def saw(self, name: str, count: int = 1, timeout_seconds: float = 15.0) -> None:
        """Return when `count` commands of that name have arrived since the proxy began."""
        await self._arrivals.until(
            lambda: self.commands[name] >= count,
            timeout_seconds,
            lambda: f"saw {self.commands[name]} of {count} {name}; in all {dict(self.commands)}",
        )

    async def flowing(self) -> None:
        """Return when the proxy does not stall. For the links."""
        await self._flowing.wait()

    def arrived(self, command: Command, *, begins_trip: bool) -> Rule | None:
        """Count a command and say which rule it meets before the server does. For the links."""
        self.commands[command.name] += 1
        self.round_trips += begins_trip
        self._arrivals.notify()
        met = [rule for rule in self._rules if rule.effect in ON_ARRIVAL and rule.takes(command)]
        return next((rule for rule in met if rule.effect is Effect.CUT_BEFORE), None)

    def answered(self, command: Command) -> Rule | None:
        """Say which rule the reply to a command meets, the oldest first. For the links."""
        after = (rule for rule in self._rules if rule.effect not in ON_ARRIVAL)
        return next((rule for rule in after if rule.takes(command)), None)

    def _add(
        self,
        effect: Effect,
        match: str | Match,
        times: int | None,
        delay_seconds: float = 0.0,
    ) -> Rule:
        wanted = named(match.upper()) if isinstance(match, str) else match
        rule = Rule(effect, wanted, times, delay_seconds)
        self._rules.append(rule)
        return rule

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(self, reader, writer)
        task = asyncio.ensure_future(link.run(self._target_port))
        self._links[task] = link
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._links.pop(task).abort()
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failures.append(failure)
