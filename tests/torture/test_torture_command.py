"""`penstock torture` on real processes: one short scenario, and what it says of a wrong name."""

import asyncio
import json
import sys

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


async def test_killed_workers_lose_nothing_and_repeat_only_what_they_held() -> None:
    code, out, err = await torture("--seconds", "5", "--seed", "3", "--scenario", "workers-killed", "--json")
    assert code == 0, out + err
    verdict = json.loads(out)
    assert verdict.keys() >= FIGURES
    assert verdict["acknowledged"] > 0
    assert verdict["faults"] > 0
    assert verdict["extra_starts"] <= verdict["in_flight_at_kills"]
    assert verdict["violations"] == []


async def test_an_unknown_scenario_is_refused_with_those_there_are() -> None:
    code, out, err = await torture("--scenario", "earthquake")
    assert code == 2
    assert out == ""
    assert "earthquake" in err
    assert "workers-killed" in err
