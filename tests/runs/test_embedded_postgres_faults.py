"""What goes wrong around the embedded PostgreSQL, and what is said about it."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from penstock.core.errors import ConfigurationError, EmbeddedServerError
from penstock.runs.embedded import EmbeddedPostgres
from penstock.runs.embedded.account import Account, account_for_root
from penstock.runs.embedded.programs import find_programs, programs_for
from tests.harness.ports import taken
from tests.runs.postgres_support import connected, processes_in, servers_in
from tests.store.embedded_support import NOBODY, made, mode_of

IS_ROOT = os.geteuid() == 0
FAST = {"fsync": "off"}
ACCOUNT = Account("nobody", NOBODY, NOBODY)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory that does not exist yet; a failing test leaves no server in it."""
    yield tmp_path / "data"
    for process in processes_in(tmp_path):
        process.kill()


@pytest.fixture(scope="module")
def finished_cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory whose server was started and stopped; to be copied."""
    data_dir = tmp_path_factory.mktemp("cluster") / "data"

    async def use() -> None:
        async with EmbeddedPostgres(data_dir, settings=FAST):
            return

    asyncio.run(use())
    return data_dir


@pytest.fixture
def used_dir(data_dir: Path, finished_cluster: Path) -> Path:
    """A data directory with a cluster in it."""
    shutil.copytree(finished_cluster, data_dir)
    owner = finished_cluster.joinpath("cluster").stat()
    for path in (data_dir / "cluster", *(data_dir / "cluster").rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    return data_dir


async def test_setting_that_is_wrong_is_shown_with_the_log(used_dir: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=r"Correct the setting named below.*\n.*shared_buffers"):
        await EmbeddedPostgres(used_dir, settings={"shared_buffers": "lots"}).start()
    assert servers_in(used_dir) == []
    smaller = EmbeddedPostgres(used_dir, settings={"shared_buffers": "16MB"})
    async with smaller as server, connected(server.url) as connection:
        assert await connection.fetchval("SHOW shared_buffers") == "16MB"


@pytest.mark.parametrize(
    "settings", [{"port": "5"}, {"Listen_Addresses": "*"}, {"jit": "on\noff"}, {"a=b": "c"}]
)
def test_settings_that_are_not_the_callers_are_refused(data_dir: Path, settings: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        EmbeddedPostgres(data_dir, settings=settings)
    assert not data_dir.exists()


async def test_damaged_data_is_explained_and_left_alone(used_dir: Path) -> None:
    for segment in (used_dir / "cluster" / "pg_wal").glob("0*"):
        segment.write_bytes(b"")
    before = sorted((used_dir / "cluster" / "base").rglob("*"))
    with pytest.raises(EmbeddedServerError, match=r"Its data is damaged.*(?s:.*)checkpoint record"):
        await EmbeddedPostgres(used_dir, settings=FAST).start()
    assert sorted((used_dir / "cluster" / "base").rglob("*")) == before


async def test_cluster_of_another_version_is_refused(used_dir: Path) -> None:
    (used_dir / "cluster" / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedServerError, match="was made by PostgreSQL 16, and this is 18"):
        await EmbeddedPostgres(used_dir).start()


async def test_lost_password_is_said_at_once(used_dir: Path) -> None:
    (used_dir / "endpoint.json").unlink()
    with pytest.raises(EmbeddedServerError, match=r"endpoint\.json.*is missing or damaged"):
        await EmbeddedPostgres(used_dir).start()


async def test_port_given_or_found(used_dir: Path) -> None:
    async with EmbeddedPostgres(used_dir, settings=FAST) as server:
        port = int(server.url.rpartition(":")[2].partition("/")[0])
        with pytest.raises(EmbeddedServerError, match=f"already runs on port {port}, not on 1234"):
            await EmbeddedPostgres(used_dir, port=1234).start()
    with await taken(port):
        with pytest.raises(
            EmbeddedServerError, match=f"Port {port} on 127.0.0.1 is taken by another program"
        ):
            await EmbeddedPostgres(used_dir, port=port, settings=FAST).start()
        async with EmbeddedPostgres(used_dir, settings=FAST) as server:
            assert f":{port}/" not in server.url


async def test_start_that_takes_too_long_says_what_it_waited_for(used_dir: Path) -> None:
    server = EmbeddedPostgres(used_dir, settings=FAST, start_timeout_seconds=0.01)
    with pytest.raises(EmbeddedServerError, match=r"was not ready within 0\.01 s"):
        await server.start()
    async with EmbeddedPostgres(used_dir, settings=FAST) as again:
        assert servers_in(used_dir) == [again.pid]


async def test_programs_that_cannot_be_run_are_named(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.runs.embedded.server.programs_for", lambda *_: Path("/bin"))
    with pytest.raises(EmbeddedServerError, match=r"Cannot run /bin/initdb.*PENSTOCK_DATABASE_URL"):
        await EmbeddedPostgres(data_dir).start()
    assert not (data_dir / "cluster").exists()


def test_wheel_that_is_missing_or_empty_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        EmbeddedServerError, match=r"not installed.*penstock\[embedded\].*PENSTOCK_DATABASE_URL"
    ):
        find_programs("pixeltable_pgserver_that_is_not")
    monkeypatch.syspath_prepend(tmp_path)
    made(tmp_path / "hollow_pgserver", 0o755).joinpath("__init__.py").write_text(
        "raise RuntimeError('was run')"
    )
    with pytest.raises(EmbeddedServerError, match="holds no PostgreSQL 18"):
        find_programs("hollow_pgserver")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(EmbeddedServerError, match="this is linux on riscv64"):
        find_programs()


def owner_of(path: Path) -> int:
    """Whose it is."""
    return path.stat().st_uid


@pytest.mark.skipif(not IS_ROOT, reason="only root hands its programs to somebody else")
async def test_programs_out_of_reach_are_copied_for_the_account(
    used_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = find_programs()
    reachable = made(Path(tempfile.mkdtemp()), 0o755)
    try:
        closed = made(reachable / "closed", 0o700)
        hidden = closed / "install" / "bin"
        for folder in ("share", "lib"):
            shutil.copytree(programs.parent / folder, closed / "install" / folder)
        hidden.mkdir()
        for name in ("initdb", "postgres"):
            shutil.copy2(programs / name, hidden / name)
        assert programs_for(None, hidden, reachable / "cache") == hidden
        copy = programs_for(ACCOUNT, hidden, reachable / "cache")
        assert copy.is_relative_to(reachable / "cache")
        assert ACCOUNT.may_read(copy / "postgres")
        assert programs_for(ACCOUNT, hidden, reachable / "cache") == copy
        assert [path.name for path in (reachable / "cache").iterdir()] == [copy.parent.name]
        monkeypatch.setattr("penstock.runs.embedded.server.programs_for", lambda *_: copy)
        async with EmbeddedPostgres(used_dir, settings=FAST) as server:
            assert psutil.Process(server.pid).exe() == str(copy / "postgres")
        copy.parent.chmod(0o777)
        with pytest.raises(EmbeddedServerError, match="could be changed by others"):
            programs_for(ACCOUNT, hidden, reachable / "cache")
        with pytest.raises(EmbeddedServerError, match="cannot reach"):
            programs_for(ACCOUNT, hidden, closed / "cache")
    finally:
        shutil.rmtree(reachable)


@pytest.mark.skipif(not IS_ROOT, reason="only root needs an account")
def test_system_without_an_account_is_told(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    monkeypatch.setattr("penstock.runs.embedded.account.ACCOUNTS", ("no-such-account",))
    with pytest.raises(EmbeddedServerError, match=r"no account to run it as.*no-such-account"):
        account_for_root()
    assert not data_dir.exists()


@pytest.mark.skipif(not IS_ROOT, reason="as root the cluster belongs to somebody else")
async def test_cluster_of_root_opens_nothing_above_it(used_dir: Path, tmp_path: Path) -> None:
    made(tmp_path, 0o700)
    async with EmbeddedPostgres(used_dir, settings=FAST) as server, connected(server.url) as connection:
        assert await connection.fetchval("SELECT 1") == 1
        assert mode_of(tmp_path) == mode_of(used_dir) == 0o700
        assert [owner_of(path) for path in (tmp_path, used_dir)] == [0, 0]
        assert owner_of(used_dir / "cluster") != 0
