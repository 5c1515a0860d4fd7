"""Takes out each guard in turn and shows which test notices; `make mutants` runs it.

Exit code 1: a mutant survived. 2: the table does not fit the code, or a killer fails without a mutant.
"""

import argparse
import queue
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.copies import Copy, Run
from tests.mutants.mutant import Mutant, load_tables, misfits
from tests.mutants.page import table_of, write_page

ROOT = Path(__file__).resolve().parents[2]
PAGE = "docs/guarantees.md"


def hunt(root: Path, mutants: Sequence[Mutant], copies: int) -> dict[Mutant, Run]:
    """Run the killers of each mutant, in several copies side by side; one line for each as it ends."""
    with tempfile.TemporaryDirectory(prefix="penstock-mutants-") as directory:
        free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for place in range(copies):
            free.put(Copy(root, Path(directory) / str(place)))
        whole = free.get()
        check = whole.run(
            sorted({killer for mutant in mutants for killer in mutant.killers}), stop_at_first=False
        )
        free.put(whole)
        if not check.is_good:
            sys.exit(_say(2, f"killers fail without a mutant: {', '.join(check.failed)}\n{check.tail}"))

        def kill(mutant: Mutant) -> Run:
            copy = free.get()
            try:
                run = copy.run_mutated(mutant)
            finally:
                free.put(copy)
            state = "SURVIVED" if run.is_good else "killed by " + _killer_of(mutant, run)
            _tell(f"{mutant.guard} | {mutant.change} | {state}")
            return run

        with ThreadPoolExecutor(copies) as pool:
            return dict(zip(mutants, pool.map(kill, mutants), strict=True))


def _killer_of(mutant: Mutant, run: Run) -> str:
    """The first test that failed, without its parameters; the first asked if none could say so."""
    if not run.failed:
        return f"{mutant.killers[0]} (ended with its run)"
    return run.failed[0].partition("[")[0].removeprefix("tests/")


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _say(code: int, text: str) -> int:
    sys.stderr.write(text + "\n")
    return code


def main() -> int:
    """Run all mutants, or those whose guard contains one of the words given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only guards that contain one of these")
    parser.add_argument("--copies", type=int, default=2, help="how many run side by side")
    given = parser.parse_args()
    tables = load_tables()
    every = [mutant for mutants in tables.values() for mutant in mutants]
    if problems := misfits(ROOT, every):
        return _say(2, "\n".join(problems))
    chosen = [m for m in every if not given.words or any(word in m.guard for word in given.words)]
    runs = hunt(ROOT, chosen, given.copies)
    survivors = [mutant for mutant, run in runs.items() if run.is_good]
    _tell(f"{len(runs)} mutants, {len(survivors)} survived")
    if survivors:
        return _say(1, "survived: " + "; ".join(mutant.guard for mutant in survivors))
    if len(chosen) == len(every):
        killer_of = {mutant: f"`{_killer_of(mutant, run)}`" for mutant, run in runs.items()}
        lines = [line for title, table in tables.items() for line in table_of(title, table, killer_of)]
        write_page(ROOT / PAGE, lines)
        _tell(f"the table is in {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
