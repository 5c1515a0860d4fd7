"""The allocator under the embedded server: taken where it fits, left alone otherwise."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from penstock.store.embedded import EmbeddedValkey
from penstock.store.embedded import process as launching
from penstock.store.embedded.allocator import environment_for
from penstock.store.embedded.binary import find_binary

NAME = "libjemalloc.so.2"

pytestmark = pytest.mark.skipif(os.uname().sysname != "Linux", reason="preloading is Linux's")


def a_real_library() -> Path:
    """Any library that the loader takes will do: this process's own C library."""
    mapped = Path("/proc/self/maps").read_text().split()
    return next(Path(word) for word in mapped if Path(word).name.startswith("libc.so"))


def libraries_of(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


@pytest.fixture(autouse=True)
def nothing_is_preloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LD_PRELOAD", raising=False)


async def test_the_server_runs_on_the_library_that_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Path(shutil.copy(a_real_library(), tmp_path / NAME))
    monkeypatch.setattr(launching, "environment_for", lambda binary: environment_for(binary, (tmp_path,)))
    async with EmbeddedValkey(tmp_path / "data") as server:
        assert str(library) in libraries_of(server.pid)
    assert "LD_PRELOAD" not in os.environ


def test_without_one_nothing_changes(tmp_path: Path) -> None:
    assert environment_for(find_binary(), (tmp_path,)) is None


def test_what_the_loader_refuses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("no library")
    assert environment_for(find_binary(), (tmp_path,)) is None


def test_what_is_preloaded_already_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(a_real_library(), tmp_path / NAME)
    monkeypatch.setenv("LD_PRELOAD", "")
    assert environment_for(find_binary(), (tmp_path,)) is None


@pytest.mark.parametrize(
    "answer", ["echo malloc=jemalloc-5.3.0", "echo malloc=libc; exit 3", "echo malloc=libc; echo refused >&2"]
)
def test_a_server_that_has_its_own_or_fails_is_started_as_it_is(tmp_path: Path, answer: str) -> None:
    shutil.copy(a_real_library(), tmp_path / NAME)
    binary = tmp_path / "server"
    binary.write_text(f"#!/bin/sh\n{answer}\n")
    binary.chmod(0o700)
    assert environment_for(binary, (tmp_path,)) is None


def test_a_server_that_cannot_run_is_left_to_say_so(tmp_path: Path) -> None:
    shutil.copy(a_real_library(), tmp_path / NAME)
    assert environment_for(tmp_path / "absent", (tmp_path,)) is None


def test_each_start_gets_the_environment_of_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(a_real_library(), tmp_path / NAME)
    for value in ("one", "two"):
        monkeypatch.setenv("TOLD_TO_THE_SERVER", value)
        environment = environment_for(find_binary(), (tmp_path,))
        assert environment is not None
        assert environment["TOLD_TO_THE_SERVER"] == value
