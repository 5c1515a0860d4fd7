"""Servers that cannot be used: unreachable, locked, wrong, evicting, full. And one in cluster mode."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from penstock import Job, JobStatusTracker, LeaseTimings, ManualClock, QueueConfig, create_redis_queue
from penstock.core.errors import ConfigurationError, PenstockError, QueueUnavailableError, UnsafeServerError
from penstock.store.beats import describe_beat_line, open_beat_line
from penstock.store.embedded.ports import free_port
from tests.conftest import MakeQueue
from tests.harness.servers import Server
from tests.store.scene import MoveWatch, Scene


async def test_a_server_that_is_not_there() -> None:
    port = free_port()
    with pytest.raises(QueueUnavailableError) as caught:
        await create_redis_queue(f"redis://user:secret@127.0.0.1:{port}/0")
    message = str(caught.value)
    assert f"127.0.0.1:{port} did not answer" in message
    assert "is the server running and reachable?" in message
    assert "secret" not in message


async def test_a_cluster_that_is_not_there() -> None:
    with pytest.raises(QueueUnavailableError, match="the Redis cluster did not answer"):
        await create_redis_queue(f"redis://127.0.0.1:{free_port()}/0", cluster=True)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:6379", "is not a Redis URL: expected redis://"),
        ("http://user:secret@localhost", "is not a Redis URL"),
        ("", "is not a Redis URL"),
        ("redis://localhost:port", "is not a Redis URL"),
        ("redis://localhost/0?socket_timeout=soon", "is not a Redis URL"),
        ("redis://localhost/0?sokket_timeout=5", "sokket_timeout"),
        ("redis://[::1", "is not a Redis URL"),
    ],
)
async def test_a_url_that_is_none(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await create_redis_queue(config=QueueConfig(redis_url=url))
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("version", ["redis-6.2", "redis-7.0", "valkey-9"])
async def test_a_server_with_a_password(version: str, make_server: Callable[..., Server]) -> None:
    server = make_server(version, appendonly=False)
    server.config_set("requirepass", "right")
    where = f"127.0.0.1:{server.port}"
    with pytest.raises(ConfigurationError, match=f"{where} (asks for a password|refused the login)"):
        await create_redis_queue(f"redis://{where}/0")
    with pytest.raises(
        ConfigurationError, match=f"{where} refused the login.*check user and password"
    ) as caught:
        await create_redis_queue(f"redis://:wrong@{where}/0")
    assert ":wrong@" not in str(caught.value)
    queue = await create_redis_queue(f"redis://:right@{where}/0")
    await queue.enqueue(Job(id="a"))
    line = open_beat_line(describe_beat_line(queue.engine, "default", "w", "w:1", "{}"), LeaseTimings())
    assert line.beat([]).lost == []
    line._client.close()
    await queue.close()


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "volatile-lru"])
async def test_a_server_that_evicts_is_refused(policy: str, fresh_valkey: Server) -> None:
    fresh_valkey.config_set("maxmemory-policy", policy)
    with pytest.raises(
        UnsafeServerError, match=f"maxmemory-policy '{policy}': it would drop jobs.*CONFIG SET"
    ):
        await create_redis_queue(fresh_valkey.url)
    fresh_valkey.config_set("maxmemory-policy", "noeviction")
    queue = await create_redis_queue(fresh_valkey.url)
    await queue.close()


class TestFull:
    """A server at its `maxmemory`."""

    @pytest.fixture
    async def full(self, fresh_server: Server, make_queue: MakeQueue) -> Scene:
        """Jobs a to f: a to d are claimed, then the memory is used up."""
        queue = await make_queue("q", clock=ManualClock())
        scene = Scene(queue, ManualClock(), queue.client, MoveWatch())
        scene.clock = queue.clock  # type: ignore[assignment]
        await scene.beat()
        await scene.add("a", "b", "c", "d", "e", "f")
        self.jobs = {job.id: job for job in (await scene.claim(4)).jobs}
        used = int(fresh_server.command("INFO", "memory")["used_memory"])
        fresh_server.config_set("maxmemory", used // 2)
        return scene

    async def test_enqueue_is_refused_and_nothing_is_half_written(
        self, full: Scene, fresh_server: Server
    ) -> None:
        before = set(await full.client.keys("*"))
        small, large = Job(id="small"), Job("x" * 20_000, id="large")
        for jobs in ([small], [large], [large, small], [Job(id="r", record=True)], [small] * 100):
            with pytest.raises(QueueUnavailableError, match="cannot take this command now"):
                await full.queue.enqueue_many(jobs)
        with pytest.raises(QueueUnavailableError):
            await full.queue.enqueue(Job(id="later"), delay_seconds=9)
        assert set(await full.client.keys("*")) == before
        fresh_server.config_set("maxmemory", 0)
        await full.queue.enqueue_many([small, large])
        assert (await full.queue.get_queue_stats())["pending"] == 4

    async def test_what_runs_goes_on(self, full: Scene) -> None:
        leases = [(job.id, job.lease) for job in self.jobs.values()]
        full.clock.advance(seconds=5)
        beat = await full.engine.renew("w", "w:1", "{}", leases)
        assert (beat.superseded, beat.lost) == (False, [])
        assert await full.settle(self.jobs["a"], "complete", b'"' + b"x" * 20_000 + b'"') == "ok"
        assert await full.settle(self.jobs["b"], "fail", "no") == "ok"
        assert await full.settle(self.jobs["c"], "retry", "again", 1000) == "ok"
        assert await full.settle(self.jobs["d"], "release") == "ok"
        assert [job.id for job in (await full.claim(3)).jobs] == ["d", "e", "f"]
        full.clock.advance(days=8)
        assert await full.sweep() == 2, "the janitor frees memory"

    async def test_a_dead_workers_job_is_taken_over(self, full: Scene) -> None:
        await full.pass_time(15.001, *list(self.jobs.values())[1:])
        assert [(job.id, job.crashes) for job in (await full.claim(1, "x:1")).jobs] == [("a", 1)]

    async def test_the_heartbeat_process_goes_on_too(self, full: Scene) -> None:
        line = open_beat_line(
            describe_beat_line(full.engine, "q", "w", "w:1", json.dumps({"host": "h" * 5000})), LeaseTimings()
        )
        assert line.beat([("a", self.jobs["a"].lease)]).lost == []
        line.let_go([("a", self.jobs["a"].lease)], [("b", self.jobs["b"].lease)])
        line._client.close()


async def test_replies_that_mean_wait_do_not_mean_wrong(fresh_valkey: Server, make_queue: MakeQueue) -> None:
    queue = await make_queue("q")
    await queue.enqueue(Job(id="a"))
    fresh_valkey.command("REPLICAOF", "127.0.0.1", free_port())
    with pytest.raises(QueueUnavailableError, match="cannot take this command now"):
        await queue.enqueue(Job(id="b"))
    fresh_valkey.command("REPLICAOF", "NO", "ONE")
    await queue.enqueue(Job(id="b"))


async def test_a_key_of_a_wrong_type_is_an_error_of_ours(valkey: Server, make_queue: MakeQueue) -> None:
    queue = await make_queue("q")
    await queue.client.set(queue.stream_key, "what?")
    with pytest.raises(PenstockError, match=r"refused a command: .*WRONGTYPE"):
        await queue.enqueue(Job(id="a"))


@pytest.mark.usefixtures("cluster_valkey")
class TestCluster:
    """Cluster mode: every script and verb stays within one slot."""

    @pytest.fixture
    async def cluster(self, make_queue: MakeQueue) -> Any:
        return await make_queue("q", cluster=True, config=QueueConfig(event_groups=("history",)))

    async def test_the_way_of_a_job(self, cluster: Any) -> None:
        scene = Scene(cluster, ManualClock(), cluster.client, MoveWatch())
        ids = [f"{number}" for number in range(150)]
        assert await scene.add(*ids) == ids
        await scene.add("recorded", record=True, priority=1, payload="x" * 20_000)
        await scene.add("later", delay_seconds=0.001)
        await scene.beat()
        jobs = {job.id: job for job in (await scene.claim(10)).jobs}
        one = jobs["recorded"]
        assert await scene.engine.store_steps([(one.id, one.lease, "one", b"1")]) == ["ok"]
        assert await scene.engine.load_steps("recorded") == {"one": b"1"}
        assert await scene.engine.note_progress([(one.id, one.lease, 50.0, "x")]) == ["ok"]
        assert await scene.settle(one, "complete", b'{"n":1}') == "ok"
        done = await cluster.get_status("recorded")
        assert (done.status.value, done.result, len(done.payload)) == ("completed", {"n": 1}, 20_000)
        assert await scene.settle(jobs["0"], "retry", "again", 0) == "ok"
        assert await scene.settle(jobs["1"], "fail", "no") == "ok"
        assert (await scene.engine.promote())[0] >= 1
        assert await cluster.cancel("2")
        stats = await cluster.get_queue_stats()
        assert (stats["completed"], stats["failed"], stats["dead_letters"]) == (1, 1, 1)
        assert stats["processing"] == 7
        assert await scene.sweep() == 0
        await cluster.client.delete(scene.keys.leases)
        await scene.sweep()
        assert await cluster.client.zcard(scene.keys.leases) == 7

    async def test_verbs_and_other_queues(self, cluster: Any) -> None:
        await cluster.enqueue(Job(id="far"), queue_name="other")
        found = await cluster.get_status("far")
        assert found.queue_name == "other"
        job = await cluster.dequeue("w", 20, queue_name="other")
        assert job.id == "far"
        assert await cluster.complete("far")
        assert await cluster.dequeue("w", 20) is None
        assert await cluster.claim_stale_jobs(0) == 0
        tracker = JobStatusTracker(cluster.client, "other")
        assert [job.id for job in await tracker.list_jobs("completed")] == ["far"]

    async def test_the_heartbeat_process(self, cluster: Any) -> None:
        await cluster.enqueue(Job(id="a"))
        claim = await cluster.engine.claim("w:1", "r", 1)
        line = open_beat_line(describe_beat_line(cluster.engine, "q", "w", "w:1", "{}"), LeaseTimings())
        assert line.beat([("a", claim.jobs[0].lease), ("b", "1:x")]).lost == ["b"]
        line._client.close()

    async def test_an_evicting_cluster_is_refused(self, make_server: Callable[..., Server]) -> None:
        server = make_server("valkey-9", cluster=True, appendonly=False)
        server.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(UnsafeServerError, match="allkeys-lru"):
            await create_redis_queue(server.url, cluster=True)
