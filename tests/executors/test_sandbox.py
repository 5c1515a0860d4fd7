"""The workspace: what an agent may read and write, and every way out that must stay shut."""

import os
from pathlib import Path

import pytest

from penstock.executors.agent.toolbox import Toolbox
from penstock.executors.agent.workspace import (
    MOST_KEPT_BYTES,
    MOST_READ_BYTES,
    MOST_WRITTEN_BYTES,
    Workspace,
    WorkspaceError,
)

RUN = "run-1"


@pytest.fixture
def files(workspace: Path) -> Workspace:
    (workspace / "docs").mkdir()
    (workspace / "docs" / "guide.md").write_text("# Guide\nread me\n")
    (workspace / "notes.txt").write_text("one two\n")
    (workspace / ".env").write_text("SECRET=1\n")
    (workspace / ".git").mkdir()
    (workspace / ".git" / "config").write_text("[core]\n")
    (workspace.parent / "secret.txt").write_text("outside\n")
    return Workspace(workspace, RUN)


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "docs/../../secret.txt",
        "docs/../notes.txt",
        "/etc/passwd",
        "~/.ssh/id_rsa",
        "..",
        ".",
        "",
        "   ",
        ".env",
        ".git/config",
        "docs/.hidden",
        "notes.txt\0.md",
        "..\\secret.txt",
        "./../secret.txt",
        "docs//../../secret.txt",
    ],
)
def test_paths_that_lead_out_are_not_touched(files: Workspace, workspace: Path, path: str) -> None:
    before = set(workspace.parent.rglob("*"))
    with pytest.raises(WorkspaceError):
        files.read(path)
    with pytest.raises(WorkspaceError):
        files.write(path, "mine")
    with pytest.raises(WorkspaceError):
        files.size_bytes(path)
    assert set(workspace.parent.rglob("*")) == before


@pytest.mark.parametrize("target", ["../secret.txt", "/etc/passwd", ".env", "../", "missing.txt", "loop.txt"])
def test_symbolic_links_out_are_not_followed(files: Workspace, workspace: Path, target: str) -> None:
    (workspace / "loop.txt").symlink_to(target)
    with pytest.raises(WorkspaceError):
        files.read("loop.txt")
    assert "loop.txt" not in files.paths()


def test_a_linked_folder_is_not_entered(files: Workspace, workspace: Path) -> None:
    (workspace / "up").symlink_to("..")
    assert files.paths() == ["docs/guide.md", "notes.txt"]
    with pytest.raises(WorkspaceError, match="out of the workspace"):
        files.read("up/secret.txt")


def test_a_link_within_the_workspace_is_a_file_like_others(files: Workspace, workspace: Path) -> None:
    (workspace / "alias.txt").symlink_to("notes.txt")
    assert files.read("alias.txt").text == "one two\n"


@pytest.mark.parametrize("linked", [".penstock", ".penstock/artifacts", f".penstock/artifacts/{RUN}"])
def test_artifacts_are_not_written_through_links(files: Workspace, workspace: Path, linked: str) -> None:
    outside = workspace.parent / "outside"
    outside.mkdir()
    place = workspace / linked
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(outside)
    with pytest.raises(WorkspaceError, match="symbolic link"):
        files.write("out.txt", "mine")
    assert list(outside.iterdir()) == []


def test_a_link_in_the_place_of_an_artifact_is_replaced(files: Workspace, workspace: Path) -> None:
    files.write("first.txt", "x")
    folder = workspace / ".penstock" / "artifacts" / RUN
    (folder / "out.txt").symlink_to(workspace / "notes.txt")
    files.write("out.txt", "mine\n")
    assert (workspace / "notes.txt").read_text() == "one two\n"
    assert (folder / "out.txt").read_text() == "mine\n"


def test_a_run_reads_back_what_it_wrote_itself(files: Workspace, workspace: Path) -> None:
    files.write("reports/out.txt", "mine\n")
    assert files.read("reports/out.txt").text == "mine\n"
    assert "reports/out.txt" not in files.paths()
    with pytest.raises(WorkspaceError, match="no file"):
        Workspace(workspace, "run-2").read("reports/out.txt")


@pytest.mark.parametrize("run_id", ["..", ".", "...", "a:b"])
def test_a_run_may_be_called_anything(workspace: Path, run_id: str) -> None:
    Workspace(workspace, run_id).write("out.txt", "mine")
    (written,) = workspace.parent.rglob("out.txt")
    assert written.parent.parent == workspace / ".penstock" / "artifacts"


def test_writing_twice_leaves_one_file(files: Workspace, workspace: Path) -> None:
    for text in ("first", "second"):
        files.write("out.txt", text)
    folder = workspace / ".penstock" / "artifacts" / RUN
    assert [one.name for one in folder.iterdir()] == ["out.txt"]
    assert (folder / "out.txt").read_text() == "second"


def test_binary_huge_and_special_files_are_refused_clearly(files: Workspace, workspace: Path) -> None:
    (workspace / "image.png").write_bytes(b"\x89PNG\r\n\x00\x01\x02")
    with (workspace / "huge.txt").open("wb") as huge:
        huge.truncate(MOST_READ_BYTES + 1)
    os.mkfifo(workspace / "pipe.txt")
    with pytest.raises(WorkspaceError, match="binary"):
        files.read("image.png")
    with pytest.raises(WorkspaceError, match="the limit for reading"):
        files.read("huge.txt")
    with pytest.raises(WorkspaceError, match="not a regular file"):
        files.read("pipe.txt")
    assert "pipe.txt" not in files.paths()
    assert Toolbox(files).measure_files(["image.png"], "bytes")["total"] == 9


def test_measuring_many_files_leaves_out_what_is_not_text(files: Workspace, workspace: Path) -> None:
    (workspace / "image.png").write_bytes(b"\x00\x01")
    result = Toolbox(files).measure_files(["**"], "words")
    assert result["total"] == 6
    assert [one["path"] for one in result["skipped"]] == ["image.png"]


def test_too_much_writing_is_refused(files: Workspace) -> None:
    with pytest.raises(WorkspaceError, match=f"the limit is {MOST_WRITTEN_BYTES}"):
        files.write("big.txt", "x" * (MOST_WRITTEN_BYTES + 1))
    for number in range(MOST_KEPT_BYTES // MOST_WRITTEN_BYTES):
        files.write(f"{number}.txt", "x" * MOST_WRITTEN_BYTES)
    with pytest.raises(WorkspaceError, match="together"):
        files.write("one-more.txt", "x")
    files.write("0.txt", "smaller now")
    files.write("one-more.txt", "x")


@pytest.mark.parametrize("folder", ["..", "/etc", "docs/..", "missing", "notes.txt", ".git", "up"])
def test_a_folder_must_be_one_of_the_workspace(workspace: Path, files: Workspace, folder: str) -> None:
    (workspace / "up").symlink_to("..")
    with pytest.raises(WorkspaceError):
        Workspace(workspace, RUN, folder)


def test_a_folder_bounds_what_is_read(workspace: Path, files: Workspace) -> None:
    inside = Workspace(workspace, RUN, "docs")
    assert inside.paths() == ["guide.md"]
    with pytest.raises(WorkspaceError, match="no file"):
        inside.read("notes.txt")


def test_links_are_checked_inside_the_workspace_only(workspace: Path, files: Workspace) -> None:
    (workspace / "docs" / "a.md").write_text("[up](../notes.txt) [out](../../secret.txt) [root](/notes.txt)")
    report = Toolbox(files).dangling_links("docs/a.md")
    assert [one["target"] for one in report["dangling"]] == ["../../secret.txt"]


def test_a_pattern_of_stars_ends_soon(files: Workspace) -> None:
    with pytest.raises(ValueError, match="too many stars"):
        Toolbox(files).list_files("*a" * 40)
