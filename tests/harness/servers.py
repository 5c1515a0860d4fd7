"""Real Redis and Valkey servers on free ports: started, stopped, killed, frozen, reconfigured."""

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from penstock.store.embedded.ports import HOST, free_port
from tests.harness.binaries import server_binary
from tests.harness.freezing import freeze

PORT_TRIES = 20
READY_SECONDS = 20.0
STOP_SECONDS = 10.0
LOOK_AGAIN_SECONDS = 0.005
ALL_SLOTS = (0, 16383)
LOG_NAME = "server.log"


class ServerFailed(AssertionError):
    """A server under test did not start or stop as told; the message ends with its log."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a server is started. `settings` are further lines of its configuration."""

    appendonly: bool = False
    appendfsync: str = "everysec"
    maxmemory: str = "0"
    cluster: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)


class Server:
    """One server process with a directory and a port of its own, kept over restarts.

    All methods block until their effect is seen; in a test whose event loop has to go on turning
    meanwhile, call them by `asyncio.to_thread`.
    """

    def __init__(self, version: str, directory: Path, options: ServerOptions) -> None:
        self.version = version
        self.directory = directory
        self._binary = server_binary(version)
        self._options = options
        self._port: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The TCP port, chosen at the first start."""
        if self._port is None:
            raise ServerFailed(f"{self.version} has not been started: it has no port yet")
        return self._port

    @property
    def url(self) -> str:
        """What a client is to be given as its Redis URL."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        """The pid of the server process. Raises ServerFailed when it is not there."""
        return self._alive().pid

    @property
    def running(self) -> bool:
        """Whether the process is there (frozen counts as there)."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What the server has written to its log so far."""
        path = self.directory / LOG_NAME
        return path.read_text(errors="replace") if path.exists() else "(no log)"

    def start(self) -> None:
        """Start on the data of the directory and return when the server answers."""
        if self.running:
            raise ServerFailed(f"{self.version} is running already, pid {self.pid}")
        for _ in range(PORT_TRIES):
            port = self._port or free_port()
            self._process = self._launch(port)
            if self._comes_up(port):
                self._port = port
                break
            if self._port is not None or "already in use" not in self.log:
                raise ServerFailed(f"{self.version} did not start:\n{self.log}")
        else:
            raise ServerFailed(f"{self.version} found no free port in {PORT_TRIES} tries")
        if self._options.cluster:
            self._form_cluster()

    def stop(self) -> None:
        """End the server as an operator would (SIGTERM); it saves its append-only file."""
        process = self._alive()
        process.terminate()
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailed(f"{self.version} ignored SIGTERM:\n{self.log}") from None

    def kill(self) -> None:
        """End the server by SIGKILL, frozen or not. What it had acknowledged is in the AOF."""
        self._alive().kill()
        self._alive().wait()

    def pause(self) -> None:
        """Freeze the process (SIGSTOP): connections stay, nothing answers."""
        freeze(self._alive().pid)

    def resume(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self._alive().send_signal(signal.SIGCONT)

    def restart(self, *, keep_data: bool = True) -> None:
        """Stop and start again on the same port; what the AOF holds is kept unless told otherwise.

        A server without AOF always comes back empty.
        """
        if self.running:
            self.stop()
        if not keep_data:
            self.wipe()
        self.start()

    def wipe(self) -> None:
        """Remove the data of a server that is not running."""
        if self.running:
            raise ServerFailed("stop the server before wiping its data")
        shutil.rmtree(self.directory)
        self.directory.mkdir()

    def config_set(self, name: str, value: str | int) -> None:
        """CONFIG SET on the running server."""
        self.command("CONFIG", "SET", name, value)

    def command(self, *words: str | int | bytes) -> Any:
        """Run one command over a connection of its own and return the answer as text."""
        with self._client(self.port) as client:
            return client.execute_command(*words)  # type: ignore[no-untyped-call]

    def clear(self) -> None:
        """Make a shared server as good as new: no keys, no cached scripts, no foreign clients."""
        with self._client(self.port) as client, client.pipeline(transaction=False) as at_once:
            for kind in ("normal", "pubsub"):
                at_once.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")  # type: ignore[no-untyped-call]
            at_once.execute_command("FLUSHALL")  # type: ignore[no-untyped-call]
            at_once.execute_command("SCRIPT", "FLUSH")  # type: ignore[no-untyped-call]
            at_once.execute()

    def _alive(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerFailed(f"{self.version} has not been started")
        return self._process

    def _launch(self, port: int) -> subprocess.Popen[bytes]:
        options = self._options
        settings = {
            "port": str(port),
            "bind": HOST,
            "dir": str(self.directory),
            "save": "",
            "appendonly": "yes" if options.appendonly else "no",
            "appendfsync": options.appendfsync,
            "maxmemory": options.maxmemory,
            **(self._cluster_settings() if options.cluster else {}),
            **options.settings,
        }
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        with (self.directory / LOG_NAME).open("ab") as log:
            return subprocess.Popen(
                [self._binary, *words],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _cluster_settings(self) -> dict[str, str]:
        return {
            "cluster-enabled": "yes",
            "cluster-port": str(free_port()),
            "cluster-announce-ip": HOST,
        }

    def _comes_up(self, port: int) -> bool:
        """Wait until *this* process answers on the port: another's server may have taken it."""
        deadline = time.monotonic() + READY_SECONDS
        process = self._alive()
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(redis.RedisError), self._client(port) as client:
                facts = client.info("everything")
                if facts["process_id"] == process.pid and not facts["loading"]:
                    return True
            time.sleep(LOOK_AGAIN_SECONDS)
        if process.poll() is None:
            self.kill()
        return False

    def _form_cluster(self) -> None:
        if "cluster_slots_assigned:0" in self.command("CLUSTER", "INFO"):
            self.command("CLUSTER", "ADDSLOTSRANGE", *ALL_SLOTS)
        deadline = time.monotonic() + READY_SECONDS
        while "cluster_state:ok" not in self.command("CLUSTER", "INFO"):
            if time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(f"the cluster of one did not become ok:\n{self.log}")
            time.sleep(LOOK_AGAIN_SECONDS)

    @contextlib.contextmanager
    def _client(self, port: int) -> Iterator[redis.Redis]:
        client = redis.Redis(
            host=HOST,
            port=port,
            protocol=2,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=STOP_SECONDS,
        )
        with contextlib.closing(client):
            yield client
