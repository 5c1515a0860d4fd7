"""Replaying a job offline, as a function and as a command: the same way, another way, and how far."""

import json
from pathlib import Path
from typing import Any

import pytest

from penstock import (
    ConfigurationError,
    InvalidJobError,
    Job,
    JobContext,
    ManualClock,
    RedisStreamsQueue,
    Worker,
    in_process,
    replay,
)
from penstock.worker.replay import ReplayVerdict
from tests.acceptance.command_line import penstock, written
from tests.conftest import MakeQueue
from tests.harness.servers import Server

pytestmark = pytest.mark.usefixtures("valkey")

HANDLERS = '''
"""A shop's handlers."""

from pathlib import Path


async def order(ctx):
    """Two steps."""
    price = await ctx.step("price", lambda: note("price", 40), inputs=ctx.payload)
    tax = await ctx.step("tax", lambda: note("tax", price // 10), inputs={"rate": RATE})
    return price + tax


def note(name, value):
    with Path("ran.txt").open("a") as ran:
        ran.write(name + "\\n")
    return value


RATE = 10
HANDLERS = {"order": order}
'''


@pytest.fixture
async def queue(make_queue: MakeQueue) -> RedisStreamsQueue:
    return await make_queue(clock=ManualClock())


async def three_steps(ctx: JobContext) -> Any:
    """Plain steps, a signal and a sleep."""
    first = await ctx.step("first", lambda: 1, inputs={"text": ctx.payload})
    word = await ctx.wait_for_signal("word")
    await ctx.sleep(60)
    return [first, word, await ctx.step("last", lambda: 3)]


async def exported(queue: RedisStreamsQueue, handler: Any, *, done: bool = True) -> dict[str, Any]:
    """A job that was run with `handler`, to its end or to its first wait, as an export."""
    await queue.enqueue(Job("text", id="job"))
    await Worker(queue, handler).run_until_idle()
    if done:
        await queue.signal("job", "word", "given")
        await Worker(queue, handler).run_until_idle()
        clock = queue.engine.clock
        assert isinstance(clock, ManualClock)
        clock.advance(seconds=60)
        await Worker(queue, handler).run_until_idle()
    export: dict[str, Any] = json.loads(json.dumps(await queue.export_job("job")))
    return export


def never() -> Any:
    raise AssertionError("a step function was called")


async def test_the_same_handler_comes_to_the_same_end(queue: RedisStreamsQueue) -> None:
    """Without a server, and without calling a step."""

    async def same(ctx: JobContext) -> Any:
        first = await ctx.step("first", never, inputs={"text": ctx.payload})
        await ctx.progress(50)
        await ctx.emit("seen")
        await ctx.report_usage(tokens=1)
        await ctx.enqueue(Job({}, id="child"))
        word = await ctx.wait_for_signal("word")
        await ctx.sleep(60)
        return [first, word, await ctx.step("last", never)]

    def in_a_thread(ctx: JobContext) -> Any:
        return ctx.wait(same(ctx))

    export = await exported(queue, three_steps)
    for handler in (same, in_a_thread, {"default": same}):
        report = await replay(handler, export)
        assert (report.verdict, report.text) == (ReplayVerdict.SAME, "replayed to the end, same result")
        assert report.agrees
    assert await queue.get_status("child") is None


async def other_inputs(ctx: JobContext) -> Any:
    await ctx.step("first", never, inputs={"text": ctx.payload, "model": "new"})


async def other_step(ctx: JobContext) -> Any:
    await ctx.step("first", never, inputs={"text": ctx.payload})
    await ctx.step("inserted", never)


async def fewer_steps(ctx: JobContext) -> Any:
    return await ctx.step("first", never, inputs={"text": ctx.payload})


async def another_result(ctx: JobContext) -> Any:
    return [await three_steps(ctx)]


async def breaks(ctx: JobContext) -> Any:
    await three_steps(ctx)
    raise ValueError("new bug")


async def waits(ctx: JobContext) -> Any:
    await three_steps(ctx)
    await ctx.wait_for_signal("word")


async def swallows(ctx: JobContext) -> Any:
    try:
        await other_step(ctx)
    except BaseException:
        return [1, "given", 3]


DIFFERENCES = {
    other_inputs: "differs at step 'first': StepMismatch: step 'first' of job job",
    other_step: "differs at step 'inserted': StepMismatch: the handler takes it, and the job did not",
    fewer_steps: "differs at step 'signal:word#1': StepMismatch: the job finished it",
    another_result: 'differs at the end: another result, [[1,"given",3]]',
    breaks: "differs at the end: the handler raises ValueError: new bug",
    waits: "differs at the end: the handler waits (waiting for signal 'word'), and the job completed",
    swallows: "differs at step 'inserted': StepMismatch",
}


async def test_changed_code_is_a_mismatch(queue: RedisStreamsQueue) -> None:
    export = await exported(queue, three_steps)
    for handler, text in DIFFERENCES.items():
        report = await replay(handler, export)
        assert report.text.startswith(text), handler
        assert (report.verdict, report.agrees) == (ReplayVerdict.DIFFERS, False)


async def test_a_job_that_is_not_over_is_followed_as_far_as_it_came(queue: RedisStreamsQueue) -> None:
    export = await exported(queue, three_steps, done=False)
    report = await replay(three_steps, export)
    assert (report.verdict, report.text) == (
        ReplayVerdict.WOULD_GO_ON,
        "would go on by waiting: waiting for signal 'word'",
    )
    await queue.signal("job", "word", 1)
    report = await replay(three_steps, await queue.export_job("job"))
    assert (report.text, report.step, report.agrees) == ("would go on with step 'sleep:1'", "sleep:1", True)
    report = await replay(fewer_steps, export)
    assert (report.verdict, report.text) == (
        ReplayVerdict.WOULD_END,
        "replayed to the end: would complete with 1",
    )


async def test_a_failed_job_replays_to_its_error(queue: RedisStreamsQueue) -> None:
    async def fails(ctx: JobContext) -> None:
        await ctx.step("first", lambda: 1)
        raise ValueError("no such customer")

    async def mended(ctx: JobContext) -> Any:
        return await ctx.step("first", never)

    async def goes_on(ctx: JobContext) -> Any:
        await ctx.step("first", never)
        return await ctx.step("second", never)

    export = await exported(queue, fails, done=False)
    assert (await replay(fails, export)).text == (
        "replayed to the end, same error: ValueError: no such customer"
    )
    assert (await replay(mended, export)).text == "differs at the end: completes, and the job failed"
    assert (await replay(goes_on, export)).text == "would go on with step 'second'"


async def test_what_replaying_refuses(queue: RedisStreamsQueue) -> None:
    export = await exported(queue, three_steps, done=False)
    with pytest.raises(ConfigurationError, match="there is no handler"):
        await replay({"other": three_steps}, export)
    with pytest.raises(ConfigurationError, match="has no steps"):
        await replay(in_process(len), export)
    with pytest.raises(InvalidJobError, match="has format 2, this version of Penstock reads 1"):
        await replay(three_steps, export | {"format": 2})
    with pytest.raises(InvalidJobError, match="the export cannot be read"):
        await replay(three_steps, {"format": 1})
    with pytest.raises(InvalidJobError, match="its job has no 'payload'"):
        await replay(three_steps, export | {"job": {"id": "job", "type": "default"}})


async def test_the_commands(make_queue: MakeQueue, valkey: Server, tmp_path: Path) -> None:
    """Export, replay with and without the server, changed code, and a fork from where it was changed."""
    queue = await make_queue("shop")
    written(tmp_path, {"shop.py": HANDLERS})

    async def run(*words: str) -> Any:
        return await penstock(*words, "-q", "shop", redis_url=valkey.url, cwd=tmp_path)

    async def order(ctx: JobContext) -> int:
        price = await ctx.step("price", lambda: 40, inputs=ctx.payload)
        return price + await ctx.step("tax", lambda: 4, inputs={"rate": 10})

    await queue.enqueue(Job({"item": "wheel"}, type="order", id="order-1"))
    await Worker(queue, {"order": order}).run_until_idle()
    same = await run("replay", "order-1", "--handlers", "shop:HANDLERS", "--export", "order-1.json")
    assert (same.code, same.stdout) == (0, "order-1: replayed to the end, same result\n")
    assert json.loads((tmp_path / "order-1.json").read_text())["job"]["result"] == 44
    written(tmp_path, {"shop.py": HANDLERS.replace("RATE = 10", "RATE = 20")})
    offline = ("replay", "--from", "order-1.json", "--handlers", "shop:HANDLERS")
    changed = await penstock(*offline, cwd=tmp_path)
    assert changed.code == 1
    assert changed.stdout.startswith("order-1: differs at step 'tax': StepMismatch")
    forked = await run("fork", "order-1", "--from-step", "tax", "--payload", "{}", "--id", "order-2")
    assert (forked.code, forked.stdout) == (0, "order-2\n")
    on = await run("replay", "order-2", "--handlers", "shop:HANDLERS", "--json")
    # The first step was made from the old payload.
    assert json.loads(on.stdout)["step"] == "price"
    whole = await run("fork", "order-1", "--from-step", "tax", "--id", "order-3")
    assert whole.code == 0
    on = await run("replay", "order-3", "--handlers", "shop:HANDLERS")
    assert on.stdout == "order-3: would go on with step 'tax'\n"
    assert not (tmp_path / "ran.txt").exists()


async def test_the_commands_say_what_is_wrong(valkey: Server, tmp_path: Path) -> None:
    gone = await penstock("replay", "gone", "--export", "x.json", redis_url=valkey.url, cwd=tmp_path)
    assert (gone.code, gone.error) == (
        4,
        "job gone is not kept: it was never enqueued, or its retention is over",
    )
    both = await penstock("replay", cwd=tmp_path)
    assert (both.code, both.error) == (2, "Give either a job or --from FILE.")
    none = await penstock("replay", "job", cwd=tmp_path)
    assert none.code == 2
    written(tmp_path, {"bad.json": "[]"})
    bad = await penstock("replay", "--from", "bad.json", "--handlers", "x:Y", cwd=tmp_path)
    assert (bad.code, bad.error) == (2, "bad.json is not what --export wrote: expected a JSON object")
    lost = await penstock("fork", "gone", redis_url=valkey.url, cwd=tmp_path)
    assert lost.code == 4
    wrong = await penstock("fork", "gone", "--payload", "{", redis_url=valkey.url, cwd=tmp_path)
    assert wrong.code == 2
