"""What a mutant is, and the tables of them."""

import tomllib
from pathlib import Path
from typing import NamedTuple

SOURCE = "src/penstock/"
TABLES = ("kernel.toml", "flow.toml", "roles.toml")


class Mutant(NamedTuple):
    """A guard taken out: in `file`, `text` (there exactly once) becomes `replacement`.

    `killers` are tests, as pytest names them below `tests/`; each must pass on the whole code, and at
    least one must fail without the guard.
    """

    guard: str
    change: str
    file: str
    text: str
    replacement: str
    killers: tuple[str, ...]


def load_tables() -> dict[str, list[Mutant]]:
    """All mutants by the title of their table."""
    tables = {}
    for name in TABLES:
        table = tomllib.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))
        tables[table["title"]] = [
            Mutant(**{**entry, "file": SOURCE + entry["file"], "killers": tuple(entry["killers"])})
            for entry in table["mutant"]
        ]
    return tables


def misfits(root: Path, mutants: list[Mutant]) -> list[str]:
    """What is wrong with the tables: guards whose text is not in their file, or not once."""
    found = []
    for mutant in mutants:
        path = root / mutant.file
        count = path.read_text(encoding="utf-8").count(mutant.text) if path.exists() else 0
        if count == 0:
            found.append(f"{mutant.guard}: its text is not in {mutant.file}: {mutant.text!r}")
        elif count > 1:
            found.append(f"{mutant.guard}: its text is in {mutant.file} {count} times")
        elif mutant.text == mutant.replacement:
            found.append(f"{mutant.guard}: its mutant changes nothing")
    names = [(mutant.guard, mutant.change) for mutant in mutants]
    return found + [f"{guard}: twice in the tables" for guard, _ in {n for n in names if names.count(n) > 1}]
