"""The generated part of the page of guarantees: every guard, its mutant, and the test that kills it."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.mutants.mutant import Mutant

BEGIN = "<!-- mutants: written by `make mutants` -->"
END = "<!-- mutants: end -->"


def table_of(title: str, mutants: Iterable[Mutant], killer_of: Mapping[Mutant, str]) -> list[str]:
    """One table, in the order of the mutants."""
    lines = [f"### {title}", "", "| guard | mutant | killer |", "|---|---|---|"]
    for mutant in mutants:
        file = mutant.file.removeprefix("src/penstock/")
        lines.append(f"| {mutant.guard} | {mutant.change} (`{file}`) | {killer_of[mutant]} |")
    return [*lines, ""]


def write_page(page: Path, lines: Iterable[str]) -> None:
    """Replace what stands between the markers; raises `ValueError` for a page without them."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} lacks the markers {BEGIN} and {END}")
    body = "\n".join(lines).strip()
    page.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", encoding="utf-8")
