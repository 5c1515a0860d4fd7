"""Fixtures every test may use. Servers, processes and proxies are real; see tests/harness.

Which server a test runs on is said by the fixtures it names: `server` (each supported version),
`fresh_server` (each version, its own to break), `valkey`, `fresh_valkey`, `cluster_valkey`. The
others (`redis_client`, `make_queue`, `proxy`, `processes`) follow; without a choice it is `valkey`.
A whole file chooses by `pytestmark = pytest.mark.usefixtures("server")`.
"""

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import redis.asyncio
import redis.utils
import uvloop
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tests.harness.binaries import VERSIONS
from tests.harness.faultproxy import FaultProxy
from tests.harness.fleet import ServerFleet
from tests.harness.guardian import Guardian
from tests.harness.ledger import Ledger
from tests.harness.processes import ProcessStarter
from tests.harness.servers import Server

if TYPE_CHECKING:
    from penstock import RedisStreamsQueue

# The client library looks its own version up on the disk at each connection.
redis.utils.get_lib_version = functools.cache(redis.utils.get_lib_version)

OWN_FIRST = ("fresh_server", "fresh_valkey", "cluster_valkey", "server", "valkey")


class MakeClient(Protocol):
    """Makes a redis-py client of a server or URL; it is closed when the test ends."""

    def __call__(
        self,
        target: Server | FaultProxy | str,
        **options: Any,
    ) -> "redis.asyncio.Redis": ...


class MakeQueue(Protocol):
    """Makes a queue on the test's server, or on `url`; it is closed when the test ends."""

    def __call__(
        self, queue_name: str = "default", *, url: str | None = None, **options: Any
    ) -> "Awaitable[RedisStreamsQueue]": ...


MakeProxy = Callable[[Server], Awaitable[FaultProxy]]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "uvloop: the test's loop is uvloop's")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give a test the loop it asks for by its marker."""
    if item.get_closest_marker("uvloop"):
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture(scope="session", autouse=True)
def guardian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guardian]:
    """The session's directory and its clearing up. Fails the session that leaves a process."""
    guardian = Guardian([tmp_path_factory.getbasetemp()])
    os.environ.update(guardian.environment)
    yield guardian
    leftovers = guardian.leftovers()
    guardian.close()
    assert not leftovers, f"these processes outlived their tests: {leftovers}"


@pytest.fixture(autouse=True)
async def nothing_stray() -> AsyncIterator[None]:
    """Fail a test that leaves a task running, or whose loop had to report a lost error."""
    reports: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, report: reports.append(report))
    yield
    stray = asyncio.all_tasks() - {asyncio.current_task()}
    assert not stray, f"the test left tasks running: {stray}"
    assert not reports, f"the event loop reported errors that nobody awaited: {reports}"


@pytest.fixture(scope="session")
def fleet(guardian: Guardian) -> Iterator[ServerFleet]:
    """The servers of this session (of this worker, under xdist)."""
    fleet = ServerFleet(guardian)
    yield fleet
    fleet.close()


@pytest.fixture
def make_server(fleet: ServerFleet) -> Iterator[Callable[..., Server]]:
    """Start servers of the test's own: `make_server("redis-6.2", maxmemory="20mb")`."""
    yield fleet.own
    fleet.stop_own()


@pytest.fixture(params=VERSIONS)
def server_version(request: pytest.FixtureRequest) -> str:
    """Each supported server in turn."""
    return str(request.param)


@pytest.fixture
def server(fleet: ServerFleet, server_version: str) -> Server:
    """An empty server of each supported version, shared: not to be stopped or configured."""
    return fleet.shared(server_version)


@pytest.fixture
def fresh_server(make_server: Callable[..., Server], server_version: str) -> Server:
    """A server of each supported version, with AOF, for this test to do with as it likes."""
    return make_server(server_version)


@pytest.fixture
def valkey(fleet: ServerFleet) -> Server:
    """An empty Valkey 9, shared: not to be stopped or configured."""
    return fleet.shared("valkey-9")


@pytest.fixture
def fresh_valkey(make_server: Callable[..., Server]) -> Server:
    """A Valkey 9 with AOF for this test to do with as it likes."""
    return make_server("valkey-9")


@pytest.fixture
def cluster_valkey(fleet: ServerFleet) -> Server:
    """An empty Valkey 9 in cluster mode, one node with all slots, shared."""
    return fleet.shared("valkey-9", cluster=True)


@pytest.fixture
def target(request: pytest.FixtureRequest) -> Server:
    """The server the test has chosen by the fixtures it names, else Valkey 9."""
    chosen = [name for name in OWN_FIRST if name in request.fixturenames] or ["valkey"]
    server: Server = request.getfixturevalue(chosen[0])
    return server


@pytest.fixture
async def make_client() -> AsyncIterator[MakeClient]:
    """Clients as the store's own: RESP2, no resending. Text in and out unless told otherwise."""
    async with AsyncExitStack() as clients:

        def make(target: Server | FaultProxy | str, **options: Any) -> "redis.asyncio.Redis":
            url = target if isinstance(target, str) else target.url
            settings = {"protocol": 2, "decode_responses": True, **options}
            client = redis.asyncio.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **settings)
            clients.push_async_callback(client.aclose)
            return client

        yield make


@pytest.fixture
def redis_client(make_client: MakeClient, target: Server) -> "redis.asyncio.Redis":
    """A client of the test's server."""
    return make_client(target)


@pytest.fixture
async def make_queue(target: Server) -> AsyncIterator[MakeQueue]:
    """Queues of the test's server, or of the server or proxy at `url`."""
    async with AsyncExitStack() as queues:

        async def make(
            queue_name: str = "default", *, url: str | None = None, **options: Any
        ) -> "RedisStreamsQueue":
            from penstock import create_redis_queue

            queue = await create_redis_queue(url or target.url, queue_name=queue_name, **options)
            queues.push_async_callback(queue.close)
            return queue

        yield make


@pytest.fixture
async def make_proxy() -> AsyncIterator[MakeProxy]:
    """Fault proxies in front of any server: `await make_proxy(server)`."""
    async with AsyncExitStack() as proxies:

        async def make(server: Server) -> FaultProxy:
            proxy = FaultProxy(server.port)
            await proxy.start()
            proxies.push_async_callback(proxy.stop)
            return proxy

        yield make


@pytest.fixture
async def proxy(make_proxy: MakeProxy, target: Server) -> FaultProxy:
    """A fault proxy in front of the test's server."""
    return await make_proxy(target)


@pytest.fixture
def ledger(guardian: Guardian) -> Ledger:
    """The file that handlers in this test's processes write to by `tests.harness.ledger.record`."""
    return Ledger(guardian.directory("ledger") / "ledger.jsonl")


@pytest.fixture
async def processes(target: Server, ledger: Ledger) -> AsyncIterator[ProcessStarter]:
    """Starts worker and other Python processes on the test's server, writing to its ledger."""
    starter = ProcessStarter(target.url, ledger.path)
    yield starter
    await starter.close()
