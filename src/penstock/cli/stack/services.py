"""Which children a stack has, and what they find in their environment."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import penstock
from penstock.cli.stack.process import Service
from penstock.core.errors import ConfigurationError
from penstock.store.embedded.ports import free_port

COMMANDS: Final = "penstock.cli.stack.child"
API: Final = "api"
KEEPER: Final = "keeper"
API_STOP_SECONDS: Final = 8.0
WORKER_GRACE_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Address:
    """Where the API listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """What its clients begin their URLs with."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - what is asked for
        return f"http://[{host}]:{self.port}" if ":" in host.strip("[]") else f"http://{host}:{self.port}"


def api_service(address: Address, log_level: str) -> Service:
    """`penstock api` at an address."""
    words = ("--host", address.host, "--port", str(address.port), "--log-level", log_level)
    return Service(API, COMMANDS, ("api", *words), API_STOP_SECONDS)


def keeper_service(log_level: str) -> Service:
    """`penstock keeper`."""
    return Service(KEEPER, COMMANDS, ("keeper", "--log-level", log_level))


def worker_service(
    worker_id: str, log_level: str, *, concurrency: int = 10, module: str = COMMANDS
) -> Service:
    """`penstock worker` for all built-in kinds, or another `module` that takes the same words."""
    words = ("--worker-id", worker_id, "--concurrency", str(concurrency), "--log-level", log_level)
    grace = ("--grace-seconds", str(WORKER_GRACE_SECONDS))
    return Service(worker_id, module, ("worker", *words, *grace), WORKER_GRACE_SECONDS + 15.0)


def service_environment(
    *, redis_url: str, database_url: str, secret_key: str, workspace: Path
) -> dict[str, str]:
    """This process's environment with the stack's servers and secrets; webhooks may go to loopback."""
    package_home = str(Path(penstock.__file__).resolve().parents[1])
    paths = [package_home, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        "PENSTOCK_REDIS_URL": redis_url,
        "PENSTOCK_DATABASE_URL": database_url,
        "PENSTOCK_SECRET_KEY": secret_key,
        "PENSTOCK_WORKSPACE": str(workspace),
        "PENSTOCK_WEBHOOKS_ALLOW_LOOPBACK": "true",
    }


def checked_port(host: str, port: int) -> int:
    """The port if nobody listens on it at this moment, or a free one for 0.

    Raises `ConfigurationError` when it is taken: whoever listens there would be mistaken for the API.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family):
            # It is listened on later, and anew after a crash: no outgoing connection may get it meanwhile.
            return port or free_port(host)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; "
            "choose another with --host and --port"
        ) from None
