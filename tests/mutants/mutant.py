"""What a mutant is."""

from typing import NamedTuple

LUA = "src/penstock/store/lua/"
STORE = "src/penstock/store/"
WORKER = "src/penstock/worker/"


class Mutant(NamedTuple):
    """A guard taken out: in `file`, `text` (once there, exactly) becomes `replacement`.

    `killers` are tests, as pytest names them below `tests/`; each must pass on the whole code, and at
    least one must fail without the guard.
    """

    guard: str
    change: str
    file: str
    text: str
    replacement: str
    killers: tuple[str, ...]
