"""The README's snippets, run as they are printed."""

import re
from pathlib import Path

from tests.harness.processes import ProcessStarter

README = Path(__file__).resolve().parents[2] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


async def test_the_quick_start_prints_what_it_says(processes: ProcessStarter, tmp_path: Path) -> None:
    (snippet,) = blocks("python")
    script = tmp_path / "quickstart.py"
    script.write_text(snippet)
    process = await processes.python(str(script))
    assert await process.exited() == 0, process.output
    (printed,) = [line for line in process.stdout if line.startswith("completed")]
    assert f"`{printed}`" in README.read_text("utf-8")


async def test_the_worker_command_runs_the_snippets_handlers(
    processes: ProcessStarter, tmp_path: Path
) -> None:
    (snippet,) = blocks("python")
    (tmp_path / "quickstart.py").write_text(snippet)
    (command,) = [
        line
        for block in blocks("sh")
        for line in block.splitlines()
        if line.startswith("penstock worker --queue")
    ]
    process = await processes.python(
        "-c",
        "import os, sys; os.chdir(sys.argv.pop(1)); from penstock.cli.app import main; main()",
        str(tmp_path),
        *command.split()[1:],
    )
    await process.line("running on penstock:")
    process.terminate()
    assert await process.exited() == 0, process.output


def test_every_figure_stands_beside_its_command() -> None:
    text = README.read_text("utf-8")
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    for table in tables:
        before = text[: text.index(table)][-600:]
        assert re.search(r"`make \w+|`penstock \w+", before), f"no command beside:\n{table}"
