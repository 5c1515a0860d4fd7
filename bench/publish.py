"""Write the tables and the chart of README.md and docs/speed.md from the benchmark's JSON.

    python bench/publish.py bench.json [--features features.json]

Standard library only. In both documents what stands between `<!-- bench:NAME -->` and
`<!-- /bench -->` is replaced; the chart goes to docs/speed.svg.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

TREE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TREE / "bench"))

from chart import drawn  # noqa: E402 - found beside this script
from tables import TABLES, features_table  # noqa: E402

DOCUMENTS = (TREE / "README.md", TREE / "docs" / "speed.md")


def filled(text: str, blocks: dict[str, str]) -> str:
    """A document with its marked blocks replaced."""

    def block(found: re.Match[str]) -> str:
        name = found[1]
        body = blocks.get(name)
        return found[0] if body is None else f"<!-- bench:{name} -->\n{body.strip()}\n<!-- /bench -->"

    return re.sub(r"<!-- bench:([\w-]+) -->\n.*?<!-- /bench -->", block, text, flags=re.DOTALL)


def main() -> None:
    """Replace the blocks and draw the chart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("figures", type=Path, help="what `penstock bench --json` wrote")
    parser.add_argument("--features", type=Path, help="what `penstock bench --features --json` wrote")
    asked = parser.parse_args()
    figures: dict[str, Any] = json.loads(asked.figures.read_text("utf-8"))
    blocks = {name: make(figures) for name, make in TABLES.items()}
    if asked.features:
        blocks["features"] = features_table(json.loads(asked.features.read_text("utf-8")))
    for document in DOCUMENTS:
        document.write_text(filled(document.read_text("utf-8"), blocks), encoding="utf-8")
    (TREE / "docs" / "speed.svg").write_text(drawn(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
