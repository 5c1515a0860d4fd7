"""All queues within reach of one connection."""

from __future__ import annotations

from typing import Any, cast

import redis

from penstock.core.clock import Clock
from penstock.core.config import QueueConfig
from penstock.core.names import check_queue_name
from penstock.core.timings import LeaseTimings
from penstock.store.connect import Client, check_server, translated
from penstock.store.engine import Engine
from penstock.store.keys import QueueKeys, registry


class Reach:
    """Engines by queue name, each prepared once: server checked, queue registered, groups made."""

    def __init__(
        self, client: Client, config: QueueConfig, timings: LeaseTimings, clock: Clock | None
    ) -> None:
        """Reach queues through ``client``."""
        self._client = client
        self._config = config
        self._timings = timings
        self._clock = clock
        self._engines: dict[str, Engine] = {}
        self._prepared: set[str] = set()
        self._server_is_checked = False

    def engine(self, queue_name: str) -> Engine:
        """The engine of ``queue_name``, prepared or not."""
        engine = self._engines.get(queue_name)
        if engine is None:
            keys = QueueKeys(self._config.key_prefix, check_queue_name(queue_name))
            engine = Engine(self._client, keys, self._config, self._timings, self._clock)
            self._engines[queue_name] = engine
        return engine

    async def prepared(self, queue_name: str) -> Engine:
        """The engine of ``queue_name``, ready to enqueue and claim; refuses an unsafe server."""
        engine = self.engine(queue_name)
        if queue_name in self._prepared:
            return engine
        if not self._server_is_checked:
            await check_server(self._client)
            self._server_is_checked = True
        with translated(engine.where):
            await cast("Any", self._client.hsetnx(registry(self._config.key_prefix), queue_name, 1))
            for group in self._config.event_groups:
                await self._make_event_group(engine, group)
        self._prepared.add(queue_name)
        return engine

    async def find(self, job_id: str, *, but: str) -> str | None:
        """The registered queue, other than ``but``, that keeps a job of this id."""
        with translated(self.engine(but).where):
            known = await cast("Any", self._client.hkeys(registry(self._config.key_prefix)))
            names = [name.decode() for name in known if name.decode() != but]
            pipe = cast("Any", self._client.pipeline(transaction=False))
            for name in names:
                pipe.exists(self.engine(name).keys.job + job_id)
            found = await pipe.execute() if names else []
        return next((name for name, exists in zip(names, found, strict=True) if exists), None)

    async def _make_event_group(self, engine: Engine, group: str) -> None:
        try:
            await self._client.xgroup_create(engine.keys.events, group, id="0", mkstream=True)
        except redis.exceptions.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
