"""`penstock schedule` as a user runs it."""

import json

import pytest

from tests.acceptance.command_line import penstock
from tests.conftest import MakeQueue
from tests.harness.servers import Server

PUT = ("schedule", "put", "report", "--cron", "0 0 1 1 *", "--type", "report")


async def told(valkey: Server, *words: str) -> str:
    finished = await penstock("schedule", *words, redis_url=valkey.url)
    assert (finished.code, finished.stderr) == (0, "")
    return finished.stdout.strip()


async def test_a_schedule_through_its_life(valkey: Server, make_queue: MakeQueue) -> None:
    assert await told(valkey, "list") == "Queue default has no schedules."
    put = (*PUT[1:], "--zone", "Europe/Berlin", "--payload", '{"n": 1}', "--catch-up", "skip")
    assert (await told(valkey, *put)).startswith("report: put, next 2")
    assert (await told(valkey, *put)).startswith("report: unchanged, next 2")
    (shown,) = json.loads(await told(valkey, "list", "--json"))
    assert {name: shown[name] for name in ("name", "cron", "type", "payload", "zone", "catch_up")} == {
        "name": "report",
        "cron": "0 0 1 1 *",
        "type": "report",
        "payload": {"n": 1},
        "zone": "Europe/Berlin",
        "catch_up": "skip",
    }
    assert shown["next_at"].endswith("-12-31T23:00:00Z")
    assert (shown["paused"], shown["last_at"]) == (False, None)
    assert await told(valkey, "pause", "report") == "report: paused"
    assert "paused" in await told(valkey, "list")
    accepted = json.loads(await told(valkey, "run", "report", "--json"))
    job = await (await make_queue()).get_status(accepted["id"])
    assert job is not None
    assert (job.type, job.payload, accepted["queue"]) == ("report", {"n": 1}, "default")
    assert await told(valkey, "resume", "report") == "report: resumed"
    assert "12-31T23:00:00Z" in await told(valkey, "list")
    assert await told(valkey, "remove", "report") == "report: removed"
    assert json.loads(await told(valkey, "list", "--json")) == []


@pytest.mark.parametrize("verb", ["pause", "resume", "run", "remove"])
async def test_one_that_is_not_there_ends_with_4(valkey: Server, verb: str) -> None:
    finished = await penstock("schedule", verb, "none", redis_url=valkey.url)
    assert finished.code == 4
    assert finished.error.startswith("queue default has no schedule 'none'")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--cron", "61 * * * *"), "the minute field '61' is wrong; expected 0-59"),
        (("--zone", "Europe/Berln"), "did you mean 'Europe/Berlin'?"),
        (("--catch-up", "some"), "catch_up 'some' is not one of latest, all, skip"),
    ],
)
async def test_a_wrong_schedule_ends_with_2(valkey: Server, words: tuple[str, ...], reason: str) -> None:
    finished = await penstock(*PUT, *words, redis_url=valkey.url)
    assert finished.code == 2
    assert reason in finished.error
