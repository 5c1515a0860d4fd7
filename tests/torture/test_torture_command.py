"""`penstock torture` on real processes: short scenarios, and what it says of a wrong name."""

import asyncio
import json
import sys

import pytest

FIGURES = {
    "scenario", "seed", "jobs", "acknowledged", "lost", "settled_twice", "extra_starts", "in_flight_at_kills",
    "zombies_refused", "stuck", "recovery_p99_s", "keys_left",
}  # fmt: skip


async def torture(*options: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "penstock", "torture", *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("scenario", ["workers_killed", "redis_kill_everysec"])
async def test_a_short_scenario_breaks_nothing(scenario: str) -> None:
    code, out, err = await torture("--seconds", "4", "--seed", "3", "--scenario", scenario, "--json")
    assert code == 0, out + err
    figures = json.loads(out)
    assert figures.keys() == FIGURES
    assert figures["scenario"] == scenario
    assert figures["acknowledged"] > 0
    assert figures["lost"] == figures["stuck"] == figures["keys_left"] == 0
    if scenario == "workers_killed":
        assert figures["settled_twice"] == 0
        assert figures["extra_starts"] <= figures["in_flight_at_kills"]
    assert "dealt: " in err
    assert "VIOLATION" not in err


async def test_an_unknown_scenario_is_refused_with_those_there_are() -> None:
    code, out, err = await torture("--scenario", "earthquake")
    assert code == 2
    assert out == ""
    assert "earthquake" in err
    assert "workers_killed" in err
