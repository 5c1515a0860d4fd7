"""A whole stack: engines, API, workers and keeper, put together and taken apart in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from penstock.cli.secret_key import make_secret_key
from penstock.cli.stack.engines import Engines
from penstock.cli.stack.process import Echo, ServiceProcess
from penstock.cli.stack.readiness import until_ready
from penstock.cli.stack.services import (
    COMMANDS,
    Address,
    api_service,
    checked_port,
    keeper_service,
    service_environment,
    worker_service,
)
from penstock.cli.stack.supervisor import Supervisor
from penstock.core.errors import ConfigurationError
from penstock.core.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class StackPlan:
    """What a stack is made of.

    Engines whose url is given are not started; port 0 means a free one. `worker_module` is run with
    the words of `penstock worker`.
    """

    data_dir: Path
    workspace: Path
    worker_ids: tuple[str, ...]
    settings: ServiceSettings
    host: str = "127.0.0.1"
    port: int = 0
    log_level: str = "info"
    redis_url: str | None = None
    database_url: str | None = None
    worker_module: str = COMMANDS
    concurrency: int = 10


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack that was started; its services may still be on their way."""

    plan: StackPlan
    url: str
    engines: Engines
    secret_key: str
    supervisor: Supervisor

    async def ready(self) -> None:
        """Return when it serves; raises `WorkerError` when it does not come to that."""
        await until_ready(
            self.supervisor.processes,
            self.url,
            self.plan.worker_ids,
            self.plan.settings,
            self.engines.redis_url,
        )

    def process(self, name: str) -> ServiceProcess:
        """The service of that name as it runs now."""
        return next(one for one in self.supervisor.processes if one.name == name)


@asynccontextmanager
async def running_stack(
    plan: StackPlan,
    tell: Callable[[str], None],
    echo: Echo,
    *,
    directory: Path | None = None,
    variables: dict[str, str] | None = None,
) -> AsyncIterator[Stack]:
    """Start a stack; stop it in order when the context is left.

    `tell` hears notes for the user, `echo` every line of the services' logs, which run in `directory`
    with `variables` beside the usual environment. Raises `EmbeddedServerError` for an engine that cannot
    be started, `ConfigurationError` for a data directory or a port that cannot be used.
    """
    secret_key = await asyncio.to_thread(_prepare, plan.data_dir)
    address = Address(plan.host, checked_port(plan.host, plan.port))
    async with Engines(
        plan.data_dir, tell, redis_url=plan.redis_url, database_url=plan.database_url
    ) as engines:
        services = [
            api_service(address, plan.log_level),
            *(
                worker_service(name, plan.log_level, concurrency=plan.concurrency, module=plan.worker_module)
                for name in plan.worker_ids
            ),
            keeper_service(plan.log_level),
        ]
        environment = service_environment(
            redis_url=engines.redis_url,
            database_url=engines.database_url,
            secret_key=secret_key,
            workspace=plan.workspace,
        )
        async with Supervisor(
            services,
            environment | (variables or {}),
            directory or Path.cwd(),
            tell=tell,
            echo=echo,
        ) as supervisor:
            yield Stack(plan, address.url, engines, secret_key, supervisor)


def _prepare(data_dir: Path) -> str:
    """Make the data directory if need be; the secret key that is kept in it."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return make_secret_key(data_dir)
    except OSError as error:
        raise ConfigurationError(f"{data_dir} cannot be used as data directory: {error.strerror}") from None
