"""Rules about the repository itself: pins, licence, make targets, import contracts, clean files."""

import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*==[0-9][A-Za-z0-9.]*")
TEXT_SUFFIXES = frozenset(
    {"", ".cfg", ".ini", ".json", ".lua", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml"}
)
# Homes, scratch folders and work folders of one machine or another, always with something below.
MACHINE_PATHS = re.compile(
    r"(?<![\w./-])/(?:root|work|home/\w+|Users/\w+|builds?|github/workspace)/[\w.-]+"
    r"|(?<![\w./-])/(?:tmp|private/tmp|var/folders)/[\w.-]+"
    r"|\b[A-Z]:\\Users\\"
)
REGISTRY_HOSTS = re.compile(
    r"pypi\.org|pythonhosted\.org|artifactory|devpi|--(?:extra-)?index-url|--find-links",
    re.IGNORECASE,
)
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
# The one file that has to spell out what it forbids.
SPELLS_IT_OUT = Path("tests/unit/test_repository.py")


def settings() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def ignored_folders() -> frozenset[str]:
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    return frozenset({".git"} | {line.strip("/") for line in lines if line.endswith("/")})


def text_files() -> Iterator[Path]:
    """Every file a clone would hold, relative to the root."""
    ignored = ignored_folders()
    for folder, names, files in os.walk(ROOT):
        names[:] = [name for name in names if name not in ignored and "egg-info" not in name]
        for file in files:
            path = Path(folder, file)
            if path.suffix in TEXT_SUFFIXES and not file.startswith(".coverage"):
                yield path.relative_to(ROOT)


def lines_that_match(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in text_files():
        if path == SPELLS_IT_OUT or path.name == ".env":
            continue
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path}:{number}: {line.strip()[:120]}")
    return found


def make_targets() -> set[str]:
    """The targets that `make help` lists."""
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
    ).stdout
    return set(re.findall(r"^  make ([a-z-]+) ", shown, re.MULTILINE))


def test_pins_are_exact_and_carry_no_address() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [line for line in pins if not PIN.fullmatch(line)] == []
    assert [line for line in lines if "/" in line or "@" in line or "--" in line] == []
    names = [line.split("==")[0] for line in pins]
    assert len(names) == len(set(names))
    assert pins == sorted(pins)


def test_every_direct_dependency_is_pinned() -> None:
    project = settings()["project"]
    wanted = [*project["dependencies"], *settings()["build-system"]["requires"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    names = {re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower() for requirement in wanted}
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([a-z0-9-]+)==", pins, re.MULTILINE))
    assert names - pinned - {"penstock"} == set()


def test_no_file_names_a_path_of_a_machine() -> None:
    assert lines_that_match(MACHINE_PATHS) == []
    assert lines_that_match(re.compile(re.escape(f"{ROOT}{os.sep}"))) == []


def test_no_file_names_a_package_index() -> None:
    assert lines_that_match(REGISTRY_HOSTS) == []


def test_no_file_puts_work_off() -> None:
    assert lines_that_match(UNFINISHED) == []


@pytest.mark.parametrize("path", ["see /root/x", "'/tmp/out.txt'", "/home/ann/code", "/Users/ann/x"])
def test_paths_of_machines_are_recognised(path: str) -> None:
    assert MACHINE_PATHS.search(path)


@pytest.mark.parametrize("path", ["/dev/null", "docs/home/ann/x", "a/tmp/b", "/proc/1/stat", "/tmp"])
def test_other_paths_are_let_be(path: str) -> None:
    assert not MACHINE_PATHS.search(path)


def test_every_package_stands_in_the_layers_contract() -> None:
    contracts = settings()["tool"]["importlinter"]["contracts"]
    (layers,) = (contract for contract in contracts if contract["type"] == "layers")
    named = set(re.findall(r"\w+", " ".join(layers["layers"])))
    named |= set(layers["exhaustive_ignores"])
    package = ROOT / "src" / "penstock"
    present = {path.parent.name for path in package.glob("*/__init__.py")}
    present |= {path.stem for path in package.glob("*.py")} - {"__init__"}
    assert present - named == set()


def test_every_folder_of_code_is_a_package() -> None:
    package = ROOT / "src" / "penstock"
    folders = {path.parent for path in package.rglob("*.py")}
    assert {folder for folder in folders if not (folder / "__init__.py").exists()} == set()


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "src" / "penstock" / "py.typed").exists()


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert settings()["project"]["license"] == "Apache-2.0"


@pytest.mark.parametrize(
    ("page", "at_least"),
    [("README.md", {"demo", "test"}), ("CONTRIBUTING.md", {"setup", "check", "test"})],
)
def test_make_has_every_target_that_a_page_names(page: str, at_least: set[str]) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", text, re.MULTILINE))
    assert named >= at_least
    assert named - make_targets() == set()


def test_make_offers_what_continuous_integration_calls() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text(encoding="utf-8")


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in text_files():
        # Among the examples some are broken, for the demo to find.
        if page.suffix != ".md" or page.is_relative_to("examples"):
            continue
        text = (ROOT / page).read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
            if not (ROOT / page).parent.joinpath(link).exists():
                broken.append(f"{page}: {link}")
    assert broken == []
