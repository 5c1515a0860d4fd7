"""What a fault proxy is told to do, and with which commands."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from tests.harness.resp import arguments_of
from tests.harness.waiting import Signal

NOT_EXECUTED = b"-NOSCRIPT"


@dataclass(frozen=True, slots=True)
class Command:
    """One request of a client: its name in upper case and its arguments."""

    name: str
    arguments: tuple[bytes, ...]

    @classmethod
    def parse(cls, request: bytes) -> "Command":
        """Read one complete request."""
        name, *arguments = arguments_of(request)
        return cls(name.decode().upper(), tuple(arguments))


Match = Callable[[Command], bool]


def named(*names: str) -> Match:
    """Matches commands by name."""
    return lambda command: command.name in names


def containing(needle: bytes) -> Match:
    """Matches commands with an argument that contains `needle`."""
    return lambda command: any(needle in argument for argument in command.arguments)


def script(*shas: str) -> Match:
    """Matches calls by EVALSHA of one of these scripts."""
    wanted = {sha.encode() for sha in shas}
    return lambda command: command.name == "EVALSHA" and command.arguments[0] in wanted


class Effect(StrEnum):
    """What happens to a command that a rule matches."""

    WATCH = "watch"
    SWALLOW = "swallow"
    CUT_BEFORE = "cut before"
    CUT_AFTER = "cut after"
    HOLD = "hold"
    DELAY = "delay"


# Decided when the command arrives; all other effects wait for the server's answer.
ON_ARRIVAL = frozenset({Effect.WATCH, Effect.CUT_BEFORE})


@dataclass(eq=False, slots=True)
class Rule:
    """An effect for the next `remaining` matching commands (None: for all of them)."""

    effect: Effect
    match: Match
    remaining: int | None
    delay_seconds: float = 0.0
    hits: int = 0
    _signal: Signal = field(default_factory=Signal)
    _released: bool = False

    def takes(self, command: Command) -> bool:
        """Whether the rule applies to this command; if so, it counts as a hit."""
        if self.remaining == 0 or not self.match(command):
            return False
        if self.remaining is not None:
            self.remaining -= 1
        self.hits += 1
        self._signal.notify()
        return True

    def release(self) -> None:
        """End the rule: it matches nothing more, and the replies it holds go on their way."""
        self.remaining = 0
        self._released = True
        self._signal.notify()

    async def hit(self, count: int = 1, timeout_seconds: float = 15.0) -> None:
        """Return when the rule has applied to `count` commands in all."""
        await self._signal.until(
            lambda: self.hits >= count,
            timeout_seconds,
            lambda: f"rule {self.effect.value!r} applied {self.hits} times, awaited {count}",
        )

    async def released(self) -> None:
        """Return when `release` has been called."""
        await self._signal.until(lambda: self._released, None, str)
