"""`penstock bench` runs to its end and says what it promises to say; how fast is not for a test to judge."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from typer.testing import CliRunner

from penstock.bench import Plan
from penstock.cli.app import app
from tests.harness.servers import Server

pytestmark = pytest.mark.xdist_group("bench")

SYSTEMS = {
    "penstock": {
        "drain_recorded",
        "bytes_per_job_tuned",
        "round_trips_per_job",
        "worker_rss_mb",
        "recovery_s",
    },
    "raw": {"enqueue_one_xadd"},
}
OF_BOTH = {
    "enqueue_one", "enqueue_bulk", "drain", "drain_two_workers", "pickup_p50_ms", "pickup_p99_ms",
    "bytes_per_job",
}  # fmt: skip
TINY = Plan(
    rounds=1,
    singles=20,
    bulk=200,
    drains={1: 60, 16: 200, 100: 400, 500: 400},
    pickups=5,
    held=500,
    with_recovery=False,
)


def assert_shape(figures: dict[str, Any]) -> None:
    assert set(figures) == {"machine", "systems", "ratios"}
    for name, own in SYSTEMS.items():
        system = figures["systems"][name]
        assert OF_BOTH | own <= set(system)
        assert set(system["drain"]) == {"1", "16", "100", "500"}
        measured = [system[figure] for figure in OF_BOTH - {"drain"}] + list(system["drain"].values())
        # So few jobs may be gone between two looks at the clock, which makes 0; a real run has enough.
        assert all(value >= 0 for value in measured), system
    assert set(figures["ratios"]["drain"]) == {"1", "16", "100", "500"}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--quick` measures as little as still touches everything."""
    monkeypatch.setattr(Plan, "quick", lambda rounds=1: replace(TINY, rounds=rounds))


@pytest.mark.usefixtures("tiny")
def test_a_tiny_run_measures_both_systems() -> None:
    finished = CliRunner().invoke(app, ["bench", "--quick", "--json", "-"])
    assert finished.exit_code == 0, finished.output
    figures = json.loads(finished.stdout)
    assert_shape(figures)
    assert figures["machine"]["server"]["embedded"]
    assert figures["systems"]["penstock"]["recovery_s"] is None


@pytest.mark.usefixtures("tiny")
def test_a_server_that_is_given_keeps_what_is_on_it(valkey: Server, tmp_path: Path) -> None:
    with Redis.from_url(valkey.url) as client:
        client.set("mine", "still here")
        file = tmp_path / "bench.json"
        words = ["bench", "--quick", "--rounds", "1", "--json", str(file), "--redis-url", valkey.url]
        finished = CliRunner().invoke(app, words)
        assert finished.exit_code == 0, finished.output
        assert "drain at concurrency 100" in finished.stdout
        assert_shape(json.loads(file.read_text()))
        assert client.keys() == [b"mine"]
