"""`penstock bench` runs to its end and says what it promises to say; how fast is not for a test to judge."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rich.console import Console
from typer.testing import CliRunner

from penstock.bench import draining, processes, recovery
from penstock.bench.arena import Arena, ground
from penstock.bench.book import Book
from penstock.bench.draining import Load
from penstock.bench.features import document as features_document
from penstock.bench.plan import Plan
from penstock.bench.players.player import Tally, read_tally
from penstock.bench.processes import MeasureFailedError, ask, kill_tree, tree_of, worker
from penstock.bench.report import document, tables
from penstock.bench.suite import Results, run_suite
from penstock.bench.systems import LABELS, PEERS, System, bare_redis
from penstock.cli.app import app
from penstock.core.errors import ConfigurationError
from tests.harness.servers import Server

pytestmark = pytest.mark.xdist_group("bench")

OF_EVERY_SYSTEM = {
    "enqueue_one", "enqueue_bulk", "drain", "drain_two_workers", "pickup_p50_ms", "pickup_p99_ms",
    "bytes_per_job", "worker_rss_mb", "recovery_s",
}  # fmt: skip
OF_PENSTOCK = {"drain_recorded", "bytes_per_job_tuned", "round_trips_per_job", "claim_backlog", "strain"}
TINY = Plan(
    rounds=1,
    concurrencies=(1, 100),
    enqueue_s=0.05,
    singles=20,
    bulk=200,
    drain_s=0.02,
    pickups=5,
    held=300,
    waiting=1500,
    claims=5,
    recovery_s=0,
    idle_s=0.5,
)

TAKING = """
def take(mark, hangs):
    # The kernel gives the lock on when its holder is killed.
    fcntl.flock(os.open(mark + ".lock", os.O_CREAT | os.O_RDWR), fcntl.LOCK_EX)
    hangs(mark)
    time.sleep(3600)
"""

PEER = """
import fcntl, os, time
from contextlib import asynccontextmanager
from player import OPTIONS, TALLY, Player, Producer

async def nothing(*given): pass
async def for_ever(*given): time.sleep(3600)

@asynccontextmanager
async def producer():
    yield Producer(nothing, {many}, nothing)

def work():
    {work}

PLAYER = Player(producer, work, ("pytest",), "made up", None, {{"drain.1": "it has no such thing"}})
"""


def a_peer(folder: Path, *, many: str = "nothing", work: str = "time.sleep(3600)") -> System:
    (folder / "made_up_peer.py").write_text(PEER.format(many=many, work=work))
    players = Path(processes.__file__).parent / "players"
    return System("huey", sys.executable, "player", "made_up_peer", (players, folder), (100, 100, 100))


@pytest.fixture
async def arena(valkey: Server, tmp_path: Path) -> AsyncIterator[Arena]:
    async with ground(valkey.url, tmp_path / "ground") as found:
        yield found


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--quick` measures as little as still touches everything."""
    monkeypatch.setattr(Plan, "quick", lambda rounds=1: replace(TINY, rounds=rounds))


@pytest.mark.usefixtures("tiny")
def test_a_server_that_is_given_keeps_what_is_on_it(valkey: Server, tmp_path: Path) -> None:
    with Redis.from_url(valkey.url) as client:
        client.set("mine", "still here")
        file = tmp_path / "bench.json"
        words = ["bench", "--quick", "--rounds", "1", "--json", str(file), "--redis-url", valkey.url]
        finished = CliRunner().invoke(app, words)
        assert finished.exit_code == 0, finished.output
        assert "drain at concurrency 100" in finished.stdout
        assert client.keys() == [b"mine"]
    figures = json.loads(file.read_text())
    assert set(figures) == {"machine", "systems", "ratios"}
    assert figures["machine"]["command"] == "penstock bench --quick --rounds 1 --redis-url URL"
    assert set(figures["systems"]) == {"penstock", "raw"}
    assert not figures["systems"]["penstock"]["failures"]
    for name, own in (("penstock", OF_PENSTOCK), ("raw", set[str]())):
        system = figures["systems"][name]
        assert OF_EVERY_SYSTEM | own <= set(system)
        assert set(system["drain"]) == {"1", "16", "100", "500"}
        assert system["enqueue_bulk"] > system["enqueue_one"] > 0
        assert system["pickup_p99_ms"] >= system["pickup_p50_ms"] > 0
        assert system["bytes_per_job"] > 100
    ours = figures["systems"]["penstock"]
    assert ours["drain"]["1"] > 0
    assert ours["claim_backlog"]["long"] == TINY.waiting
    assert ours["strain"]["idle_calls_per_s"] >= 0
    assert ours["strain"]["loop_lag_ms"] > 0
    # On a server that is given, the settings of its log of slow commands are left alone.
    assert ours["strain"]["script_p99_ms"] is ours["strain"]["slowest_script_ms"] is None


@pytest.mark.parametrize("width", [60, 80, 120, 300])
def test_what_does_not_fit_beside_goes_below(width: int) -> None:
    server: dict[str, Any] = {"name": "valkey", "version": "9", "allocator": "libc", "settings": {}}
    machine = {"cores": 2, "processor": "any", "load_before": 0, "load_after": 0, "rounds": 1}
    names = ("penstock", "raw", *PEERS)
    figures = {
        "machine": machine | {"server": server},
        "systems": {name: {"enqueue_one": 12_345.0 + at} for at, name in enumerate(names)},
    }
    output = StringIO()
    console = Console(width=width, file=output)
    found = tables(figures, console)
    console.print(*found, sep="\n")
    shown = output.getvalue()
    assert "…" not in shown
    assert all(
        LABELS.get(name, name) in shown and f"{12_345 + at:,}" in shown for at, name in enumerate(names)
    )
    assert shown.count("12,345") == len(found)
    assert (len(found) == 1) is (width == 300)


def test_peers_are_refused_on_a_server_that_is_given(valkey: Server) -> None:
    finished = CliRunner().invoke(app, ["bench", "--peers", "--redis-url", valkey.url])
    assert isinstance(finished.exception, ConfigurationError)
    assert "peers are measured on an embedded server only" in str(finished.exception)


def test_an_unknown_peer_is_refused() -> None:
    finished = CliRunner().invoke(app, ["bench", "--peer", "no-such-queue"])
    assert isinstance(finished.exception, ConfigurationError)
    assert "expected one of dramatiq" in str(finished.exception)


def test_an_unknown_baseline_is_refused() -> None:
    finished = CliRunner().invoke(app, ["bench", "--features", "--baseline", "no-such-revision"])
    assert isinstance(finished.exception, ConfigurationError)
    assert "no-such-revision" in str(finished.exception)


async def test_a_peer_that_hangs_or_is_missing_costs_its_own_figures_only(
    tmp_path: Path, valkey: Server
) -> None:
    plan = replace(TINY, waiting=0, concurrencies=(16,), measure_limit_s=3.0)
    (tmp_path / "well").mkdir()
    (tmp_path / "ill").mkdir()
    counting = "[(TALLY.count(), time.sleep(0.001)) for _ in range(300)]; time.sleep(3600)"
    well = replace(a_peer(tmp_path / "well", work=counting), name="saq")
    ill = a_peer(tmp_path / "ill", many="for_ever")
    missing = replace(well, name="arq", python=str(tmp_path / "no" / "python"))
    results = await run_suite(plan, [ill, missing, well], valkey.url, lambda what: None)
    systems = document(results)["systems"]
    assert systems["saq"]["drain"]["16"] > 0
    assert systems["saq"]["failures"]["drain.1"] == "it has no such thing"
    assert systems["huey"]["enqueue_one"] is None
    assert systems["huey"]["failures"]["enqueue"] == "not done within 3 s"
    assert "pickup" not in systems["huey"]["failures"], "tried on and on"
    assert systems["arq"]["failures"]["all"].startswith("could not be started: ")
    assert systems["arq"]["version"] is None


async def test_a_worker_that_ends_or_stands_still_fails_the_measure(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MeasureFailedError, match="ended with code 1: over"):
        await draining.measure(arena, a_peer(tmp_path, work="raise SystemExit('over')"), Load(100, 1))
    monkeypatch.setattr(draining, "STUCK_SECONDS", 0.2)
    with pytest.raises(MeasureFailedError, match="stood still for 0 s after 0 jobs"):
        await draining.measure(arena, a_peer(tmp_path), Load(100, 1))


async def test_a_job_that_is_begun_twice_fails_the_measure(arena: Arena, tmp_path: Path) -> None:
    work = "TALLY.count(50); time.sleep(0.5); TALLY.count(51); time.sleep(3600)"
    with pytest.raises(MeasureFailedError, match="100 jobs were begun 101 times"):
        await draining.measure(arena, a_peer(tmp_path, work=work), Load(100, 1))


async def test_recovery_is_timed_from_the_kill_of_the_holder(arena: Arena, tmp_path: Path) -> None:
    # The first worker to come takes the job and hangs; the other sees it dead and begins it again.
    work = "MARK = OPTIONS['tally'] + '.holder'; from player import hangs; take(MARK, hangs)"
    peer = a_peer(tmp_path, work=work)
    with (tmp_path / "made_up_peer.py").open("a") as script:
        script.write(TAKING)
    assert 0 < await recovery.measure(arena, peer, 0, 10.0) < 10


async def test_recovery_that_does_not_come_is_said(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "BEGIN_SECONDS", 0.5)
    peer = a_peer(tmp_path)
    with pytest.raises(MeasureFailedError, match=r"the job did not begin|hang: no answer"):
        await recovery.measure(arena, peer, 0, 1.0)


async def test_a_worker_is_killed_with_its_children(arena: Arena, tmp_path: Path) -> None:
    work = "os.fork() or os.setsid(); time.sleep(3600)"
    async with worker(arena, a_peer(tmp_path, work=work), {"queue": "any"}) as process:
        while len(family := tree_of(process.pid)) < 2:
            process.check_alive()
            await asyncio.sleep(0.01)
    for pid in family:
        while _runs(pid):  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        # A child whose parent is gone may stay as a zombie until somebody asks for it.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_an_answer_that_does_not_come_in_time_is_a_failure(arena: Arena, tmp_path: Path) -> None:
    with pytest.raises(MeasureFailedError, match="fill: no answer within 1 s"):
        await ask(arena, a_peer(tmp_path, many="for_ever"), "fill", {"queue": "any", "how_many": 1}, 1.0)


def test_calls_are_counted_over_threads_and_forks(tmp_path: Path) -> None:
    tally = Tally(str(tmp_path))
    tally.count()
    child = os.fork()
    if child == 0:
        tally.count(2)
        os._exit(0)
    os.waitpid(child, 0)
    tally.count(4)
    calls, latest = read_tally(tmp_path)
    assert calls == 7
    assert latest > 0


def test_killing_what_is_gone_does_no_harm() -> None:
    child = os.fork()
    if child == 0:
        signal.pause()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    kill_tree(child)


def test_features_are_compared_pair_by_pair() -> None:
    book = Book()
    for now, before in ((100, 110), (50, 50), (10, 9)):
        book.write("penstock", "drain.100", now)
        book.write("baseline", "drain.100", before)
        book.write("penstock", "bytes_per_job", before)
        book.write("baseline", "bytes_per_job", now)
    found = features_document(Results({}, TINY, book), "abc")["measures"]
    assert found["drain.100"]["of_pairs_percent"] == [-10.0, 0.0, 10.0]
    assert found["drain.100"]["cost_percent"] == 0.0
    assert found["bytes_per_job"]["of_pairs_percent"] == [-10.0, 0.0, 10.0]


def test_ratios_name_the_best_peer() -> None:
    book = Book()
    for system, drain, wait in (
        ("penstock", 700, 1.0),
        ("raw", 1000, 0.5),
        ("saq", 70, 9.0),
        ("arq", 35, 4.0),
    ):
        book.write(system, "drain.100", drain)
        book.write(system, "pickup_p99_ms", wait)
    described = {name: {"best": None} for name in ("penstock", "raw", "saq", "arq")}
    ratios: dict[str, Any] = document(Results({}, TINY, book, described))["ratios"]
    assert ratios["to_raw"]["drain.100"] == 0.7
    assert ratios["to_best_peer"]["drain.100"] == {"ratio": 10.0, "peer": "saq"}
    assert ratios["to_best_peer"]["pickup_p99_ms"] == {"ratio": 0.25, "peer": "arq"}


def test_systems_are_played_from_their_own_paths() -> None:
    assert bare_redis().command("fill")[-1] == "fill"
    assert not bare_redis().is_peer
