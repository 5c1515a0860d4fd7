"""The scripts as documents: headers say what bodies use, and calls give what headers say."""

import hashlib
import re
from collections.abc import Sequence
from importlib import resources
from types import SimpleNamespace
from typing import Any, cast

import pytest

from penstock import Job, JobStatus, LeaseTimings, ManualClock, QueueConfig, Schedule
from penstock.core.acceptance import AcceptedJob
from penstock.core.outcomes import Outcome
from penstock.store import beats
from penstock.store.dead_letters import DeadLetters
from penstock.store.engine import Engine
from penstock.store.forks import send_fork
from penstock.store.keys import QueueKeys
from penstock.store.scripts import ScriptHeader, load, parse_header, script_names
from penstock.store.streams import RedisStreamsQueue
from penstock.store.timetable import Firing, Kept, Timetable
from penstock.worker.auditor import Auditor
from penstock.worker.janitor import Janitor
from tests.unit.lua_scope import undeclared

FOLDER = resources.files("penstock.store") / "lua"
PARTS = sorted(entry.name.removesuffix(".lua") for entry in (FOLDER / "lib").iterdir())
KEYS = QueueKeys("penstock:", "q")
NAMED_FIELDS = {
    "settle": Outcome._fields,
    "enqueue": ("id", "spec", "terms", "apart"),
    "enqueue_plain": AcceptedJob.__struct_fields__[:2],
}


def source_of(part: str) -> str:
    return (FOLDER / "lib" / f"{part}.lua").read_text("utf-8")


# What a script would answer: enough for its caller to go on. Others answer one code an entry.
REPLIES: dict[str, Any] = {
    "claim": [-1, -1],
    "promote": [0, -1, 0],
    "link": [b"linked", b""],
    "tend": 0,
    "limit": b"ok",
    "pause": b"ok",
    "renew": [b"ok", [], []],
    "sweep": [0, b""],
    "audit": [1, 0],
    "expire": 0,
    "reclaim": 0,
    "retire": 0,
    "trim": 0,
    "recount": b"ok",
    "timetable": [1_700_000_000_000, -1],
    "fire": [b"fired", -1],
}
SPEC = b'{"format":1,"type":"send","priority":1,"payload":{}}'
SCHEDULE = Schedule(name="s", cron="* * * * *", type="send")


class Recorder:
    """A client that notes how each script is called and answers without a server."""

    is_synchronous = False
    single_connection_client = True

    def __init__(self) -> None:
        self.connection_pool = SimpleNamespace(connection_kwargs={})
        self.calls: list[tuple[str, list[str], list[Any]]] = []
        sources = {name: load(name).source for name in script_names()}
        self.names = {source: name for name, source in sources.items()}
        self.by_sha = {
            hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest(): name
            for name, source in sources.items()
        }

    def note(self, name: str, keys: list[str], arguments: list[Any]) -> Any:
        self.calls.append((name, keys, arguments))
        header = load(name).header
        stride = len(header.each) or 1
        return REPLIES.get(name, [b"ok"] * ((len(arguments) - len(header.argv)) // stride))

    def register_script(self, source: str) -> Any:
        return lambda keys, arguments: self.note(self.names[source], keys, arguments)

    async def execute_command(self, command: str, sha: str, count: int, *rest: Any) -> Any:
        assert command == "EVALSHA"
        return self.note(self.by_sha[sha], list(rest[:count]), list(rest[count:]))

    def pipeline(self, **_: Any) -> "Recorder":
        return self

    def hget(self, *_: Any) -> None:
        """One command of a pipeline."""

    async def execute(self, **_: Any) -> list[bytes]:
        return [SPEC]

    async def scan_iter(self, *_: Any, **__: Any) -> Any:
        for number in range(3):
            yield f"{KEYS.job}{number}".encode()


async def call_everything(client: Recorder) -> None:
    """Make every typed call there is, once."""
    config = QueueConfig(event_groups=("one", "two"))
    engine = Engine(cast("Any", client), KEYS, config, LeaseTimings(), ManualClock())
    await engine.enqueue([AcceptedJob("a", b"{}", "high", True, 5, b"apart")] * 2, 7)
    await engine.enqueue([AcceptedJob("a", b"{}", "normal", False, 3, b"")])
    await engine.claim("w:1", "request", 9)
    await engine.settle([Outcome("a", "1:x", "retry", "body", 5, "detail")] * 3)
    await engine.renew("w", "w:1", "{}", [("a", "1:x")] * 2, starting=True)
    await engine.promote()
    await engine.cancel(["a", "b"])
    await engine.note_progress([("a", "1:x", 5.0, "step")])
    await engine.store_steps([("a", "1:x", "name", b"body")])
    await engine.enqueue_children("p", "1:x", [AcceptedJob("a", b"{}", "high", True, 5, b"", b"{}")])
    await engine.emit([("a", "1:x", "emit", b"1")])
    await engine.watch(["a"])
    await engine.signal("a", "go", b"1")
    await engine.report_usage([("a", "1:x", "mail", "tokens", 1.5)])
    await engine.pause()
    await engine.limit_key("k", places=3)
    await engine.link([("parent", "q/child")])
    await engine.tell([("child", "q/parent", "completed", b"1")])
    await engine.tend_keys(["k"])
    await Janitor(engine).sweep()
    queue = RedisStreamsQueue.__new__(RedisStreamsQueue)
    queue.engine, queue.config, queue.timings = engine, config, LeaseTimings()
    queue.queue_name = "q"
    await queue.claim_stale_jobs(5)
    await Timetable(engine).keep(SCHEDULE)
    kept = Kept("s", b"{}", 60_000, None, paused=False)
    await Timetable(engine).fire(Firing(kept, [Job(id="a", record=True)], 60_000, 120_000))
    await DeadLetters(queue).requeue("a", payload={"n": 2})
    await DeadLetters(queue).discard("a")
    await send_fork(engine, "old", AcceptedJob("a", b"{}", "high", True, 5, b""), [("step", "plan")])
    await Auditor(engine).mend()


@pytest.fixture
async def calls() -> list[tuple[str, list[str], list[Any]]]:
    client = Recorder()
    await call_everything(client)
    return client.calls


@pytest.mark.parametrize("name", script_names())
def test_each_script_says_what_it_takes_and_answers(name: str) -> None:
    text = (FOLDER / f"{name}.lua").read_text("utf-8")
    header = parse_header(name, text)
    assert header.keys
    assert re.search(r"^-- RETURNS \S", text, re.MULTILINE)
    assert text.startswith("-- ")
    assert all(isinstance(getattr(KEYS, key), str) for key in header.keys)
    assert len(set(header.keys)) == len(header.keys)
    assert len(set(header.argv + header.each)) == len(header.argv + header.each)
    assert set(header.uses + header.late) <= set(PARTS)


@pytest.mark.parametrize("name", script_names())
def test_no_script_uses_a_name_that_it_does_not_declare(name: str) -> None:
    assert undeclared(load(name).source) == []


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_used_and_declares_what_it_needs(part: str) -> None:
    header = parse_header(part, source_of(part))
    users = [name for name in script_names() if f"\n{_first_line(part)}" in load(name).source]
    assert users, f"nobody uses {part}"
    given = (*header.keys, *header.argv, *(("late", "was_late") if header.late else ()))
    alone = "".join(f"local {name} = nil\n" for name in given)
    needed = "".join(source_of(other) for other in _all_parts(header))
    bound = {name for other in _all_parts(header) for name in _given_names(other)}
    unknown = set(undeclared(alone + needed + source_of(part))) - bound
    assert unknown == set(), f"{part} uses {unknown} without saying so"


def _first_line(part: str) -> str:
    """The first line of code of a part, by which it is found in a script."""
    lines = source_of(part).splitlines()
    return next(line for line in lines if line and not line.startswith("--"))


def _given_names(part: str) -> set[str]:
    header = parse_header(part, source_of(part))
    return {*header.keys, *header.argv, *(("late", "was_late") if header.late else ())}


def _all_parts(header: ScriptHeader) -> list[str]:
    """The parts a script or part uses, directly or through others, in the order they are needed."""
    found: list[str] = []
    for part in header.uses:
        for each in [*_all_parts(parse_header(part, source_of(part))), part]:
            if each not in found:
                found.append(each)
    return found


def test_the_scope_check_sees_what_is_missing() -> None:
    assert undeclared("local a = 1\nif a then local b = a end\nreturn b") == ["b"]
    assert undeclared("local function f(x) return x + y end") == ["y"]
    assert undeclared("for _, v in ipairs({}) do redis.call(v) end return v") == ["v"]
    assert undeclared("local t = { field = 1 }\nreturn t.field, t['x'] -- comment") == []
    assert undeclared("counter = 1") == ["counter"]


def test_a_part_that_needs_more_than_the_script_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = resources.files

    class Folder:
        def __truediv__(self, name: str) -> "Folder":
            return self

        def read_text(self, **_: Any) -> str:
            return "-- Says it.\n--\n-- KEYS job\n-- USES clock\n-- RETURNS 'ok'\nreturn 'ok'\n"

    class Both(Folder):
        def __truediv__(self, path: str) -> Any:
            return Folder() if path == "wrong.lua" else real("penstock.store") / "lua" / path

    class Package:
        def __truediv__(self, _: str) -> Any:
            return Both()

    monkeypatch.setattr("penstock.store.scripts.resources.files", lambda _: Package())
    with pytest.raises(TypeError, match=r"wrong uses clock, which needs \['now_ms'\] in its header"):
        load.__wrapped__("wrong")


async def test_every_script_is_called(calls: list[tuple[str, list[str], list[Any]]]) -> None:
    assert {name for name, _, _ in calls} == set(script_names())


async def test_each_call_gives_what_the_header_says(calls: list[tuple[str, list[str], list[Any]]]) -> None:
    for name, keys, arguments in calls:
        header = load(name).header
        assert keys == [getattr(KEYS, key) for key in header.keys]
        each = arguments[len(header.argv) :]
        assert len(each) % (len(header.each) or 1) == 0
        assert header.each or not each, name
        for argument in arguments:
            assert isinstance(argument, str | bytes | int | float), (name, argument)
            assert not isinstance(argument, bool)


async def test_values_stand_under_their_names(calls: list[tuple[str, list[str], list[Any]]]) -> None:
    expected: dict[str, dict[str, Any]] = {
        "enqueue": {"id": "a", "spec": b"{}", "terms": b"high 7 1 5 ", "apart": b"apart"}
        | {"max_events": 1_000_000, "now_ms": 1_700_000_000_000},
        "enqueue_plain": {"id": "a", "spec": b"{}"},
        "claim": {"group": "debate-workers", "consumer": "w:1", "request_id": "request", "count": 9}
        | {"lease_ms": 15_000, "beat_ms": 5000, "amnesty_ms": 15_000, "suspect_seats": 1, "unrenewed": ""}
        | {"keep_ms": 8 * 86_400_000},
        "settle": {"id": "a", "lease": "1:x", "outcome": "retry", "body": "body", "delay_ms": 5}
        | {"detail": "detail", "group": "debate-workers"},
        "renew": {"worker_id": "w", "incarnation": "w:1", "info": "{}", "starting": "1", "lease": "1:x"},
        "progress": {"id": "a", "lease": "1:x", "percent": 5.0, "step": "step"},
        "step": {"id": "a", "lease": "1:x", "name": "name", "body": b"body", "most_steps": 1000},
        "cancel": {"id": "a"},
        "promote": {"group": "debate-workers", "most": 64},
        "reclaim": {"idle_ms": 5, "lease_ms": 15_000, "most": 64},
        "expire": {"ttl_ms": 7 * 86_400_000, "status": "cancelled", "most": 64, "required": 2},
        "trim": {"max_events": 1_000_000, "group": "one"},
        "retire": {"group": "debate-workers", "silent_ms": 600_000, "event_group": "one"},
        "mend": {"id": "0", "lease_ms": 15_000, "group": "debate-workers"},
        "sweep": {"lane": "normal", "after": "", "most": 500},
        "audit": {"group": "debate-workers"},
        "recount": {},
        "enqueue_children": {"parent": "p", "lease": "1:x", "id": "a", "terms": b"high 0 1 5 {}"},
        "emit": {"most_entries": 10_000, "id": "a", "lease": "1:x", "kind": "emit", "body": b"1"},
        "watch": {"id": "a"},
        "signal": {"most_signals": 1000, "id": "a", "name": "go", "body": b"1"},
        "usage": {"id": "a", "lease": "1:x", "type": "mail", "name": "tokens", "amount": 1.5},
        "pause": {"paused": "1"},
        "limit": {"key": "k", "places": 3, "jobs": 0, "units": 0, "window_ms": 0, "paused_until": ""},
        "link": {"parent": "parent", "child": "q/child"},
        "tell": {"child": "child", "parent": "q/parent", "status": "completed", "body": b"1"},
        "tend": {"key": "k"},
        "timetable": {"which": "=s", "most": 64},
        "schedule": {"action": "put", "name": "s", "coming": 1_700_000_040_000, "begins_paused": ""},
        "fire": {"name": "s", "seen": 60_000, "last": 60_000, "coming": 120_000, "id": "a"}
        | {"terms": b"normal 0 1 3 "},
        "requeue": {"id": "a", "lane": "high", "apart": b""},
        "discard": {"id": "a", "required": 2},
        "fork": {
            "source": "old",
            "id": "a",
            "terms": b"high 0 1 5 ",
            "apart": b"",
            "kind": "step",
            "field": "plan",
        },
    }
    assert expected.keys() == set(script_names())
    for script, wanted in expected.items():
        given = next(arguments for name, _, arguments in calls if name == script)
        header = load(script).header
        named = dict(zip(header.argv + header.each, given, strict=False))
        assert {name: named[name] for name in wanted} == wanted, script


def test_the_heartbeat_process_calls_as_the_worker_does(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Recorder()
    client.is_synchronous = True
    monkeypatch.setattr(beats, "open_portable", lambda *_: client)
    given = {
        "connection": "",
        "prefix": "penstock:",
        "queue": "q",
        "partition": 0,
        "group": "g",
        "keep_ms": 9,
    }
    line = beats.open_beat_line(
        given | {"worker_id": "w", "incarnation": "w:1", "info": "{}"}, LeaseTimings()
    )
    line.beat([("a", "1:x")] * 65)
    line.let_go([("a", "1:x")], [("b", "2:y")])
    assert [name for name, _, _ in client.calls] == ["renew", "renew", "settle"]
    _, keys, arguments = client.calls[2]
    header = load("settle").header
    assert keys == [getattr(KEYS, key) for key in header.keys]
    entries: Sequence[Any] = arguments[len(header.argv) :]
    assert entries[:3] == ["a", "1:x", "lapse"]
    assert entries[len(header.each) : len(header.each) + 3] == ["b", "2:y", "release"]


def test_once_must_name_exactly_what_the_header_names() -> None:
    script = load("sweep")
    with pytest.raises(TypeError, match="sweep takes"):
        script.arguments({"lane": "normal"})
    with pytest.raises(TypeError, match="sweep takes"):
        script.arguments({"group": "g", "lane": "l", "after": "", "most": 1, "more": 2})


def test_the_scripts_know_the_statuses_there_are() -> None:
    block = re.search(r"STATUSES = \{(.*?)\}", source_of("state"), re.DOTALL)
    assert block
    assert set(re.findall(r"(\w+) = true", block[1])) == {status.value for status in JobStatus}
