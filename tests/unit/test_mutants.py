"""The tables of mutants, which take minutes to run, fit the code that they are about."""

from pathlib import Path

from tests.mutants.mutant import load_tables, misfits

ROOT = Path(__file__).parents[2]


def test_each_guard_stands_where_the_tables_say() -> None:
    assert misfits(ROOT, [mutant for table in load_tables().values() for mutant in table]) == []


def test_each_killer_is_a_test_that_exists() -> None:
    killers = {killer for table in load_tables().values() for mutant in table for killer in mutant.killers}
    named = {killer.partition("[")[0] for killer in killers}
    missing = [name for name in sorted(named) if not _exists(*name.partition("::")[::2])]
    assert missing == []


def _exists(file: str, test: str) -> bool:
    path = ROOT / "tests" / file
    return path.exists() and (not test or f"def {test.rpartition('::')[2]}(" in path.read_text("utf-8"))
