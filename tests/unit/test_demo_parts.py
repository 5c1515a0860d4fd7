"""The parts of the demo that judge: its ledger, its counting, its choice of files, its report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from penstock.cli.demo.discovery import LARGE_BYTES, LARGEST_BYTES, find_documents
from penstock.cli.demo.large import LARGE_TEXT_BYTES, write_large_text
from penstock.cli.demo.ledger import Fact, FactName, LedgerReader, LedgerWriter
from penstock.cli.demo.observer import worker_in_the_middle
from penstock.cli.demo.outcome import Kill, Outcome, judge, reclaimed_starts, repeated_steps
from penstock.cli.demo.report import write_report
from tests.acceptance.command_line import written

if TYPE_CHECKING:
    from pathlib import Path

GOOD = Outcome(5, 5, 0, 1, 2, 0, 15.0, 22.0)


def fact(name: FactName, worker: str, at_seconds: float, step: str | None = None, job: str = "big") -> Fact:
    return Fact(name, job, worker, 1, at_seconds, step)


STORY = [
    fact("job started", "a", 1),
    fact("step started", "a", 2, "read"),
    fact("job started", "a", 2.5, job="small"),
    fact("step finished", "a", 3, "read"),
    fact("step started", "a", 4, "sum"),
    fact("job started", "b", 4.5, job="other"),
    fact("job started", "b", 20, job="small"),
    fact("job started", "b", 22),
    fact("step replayed", "b", 23, "read"),
    fact("step started", "b", 24, "sum"),
    fact("step finished", "b", 25, "sum"),
]
KILL = Kill("a", 5.0)


class TestLedger:
    def test_what_is_written_is_read_once(self, tmp_path: Path) -> None:
        path = tmp_path / "ledger.jsonl"
        reader = LedgerReader(path)
        assert reader.refresh() == []
        writer = LedgerWriter(path, "job", "worker", 2)
        writer.note("step started", "read")
        (first,) = reader.refresh()
        assert (first.name, first.job, first.worker, first.attempt) == ("step started", "job", "worker", 2)
        assert reader.refresh() == []
        writer.note("step finished", "read")
        assert [each.name for each in reader.refresh()] == ["step finished"]
        assert [each.step for each in reader.facts] == ["read", "read"]

    def test_a_line_that_is_being_written_waits(self, tmp_path: Path) -> None:
        path = tmp_path / "ledger.jsonl"
        LedgerWriter(path, "job", "worker", 1).note("job started")
        line = path.read_bytes()
        path.write_bytes(line + line[:20])
        reader = LedgerReader(path)
        assert len(reader.refresh()) == 1
        path.write_bytes(line + line)
        assert len(reader.refresh()) == 1


class TestCounting:
    def test_the_middle_is_inside_a_step_after_another_was_finished(self) -> None:
        seen = [worker_in_the_middle(STORY[:count], "big") for count in range(6)]
        assert seen == [None, None, None, None, None, "a"]
        assert worker_in_the_middle(STORY, "big") is None

    def test_reclaimed_jobs_are_those_that_started_again_elsewhere(self) -> None:
        assert reclaimed_starts(STORY, KILL) == {"small": 20, "big": 22}

    def test_a_replayed_step_is_no_repetition_and_a_restarted_one_is(self) -> None:
        assert repeated_steps(STORY) == 0
        assert repeated_steps([*STORY, fact("step started", "b", 26, "read")]) == 1

    def test_recovery_lasts_to_the_last_reclaimed_job(self) -> None:
        outcome = judge(STORY, KILL, counts=(5, 5, 0), seconds=30.04)
        assert outcome == Outcome(5, 5, 0, 1, 2, 0, 17.0, 30.04)
        assert outcome.shortcomings() == []

    def test_without_a_kill_there_is_no_recovery(self) -> None:
        outcome = judge(STORY, None, counts=(5, 5, 0), seconds=1)
        assert (outcome.workers_killed, outcome.reclaimed, outcome.recovery_seconds) == (0, 0, None)

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"failed": 2, "completed": 3}, "2 jobs failed"),
            ({"completed": 4}, "1 jobs did not end"),
            ({"steps_repeated": 1}, "1 finished steps were repeated"),
            ({"workers_killed": 0}, "no worker was killed"),
            ({"reclaimed": 0, "recovery_seconds": None}, "started again elsewhere"),
            ({"recovery_seconds": 20.1}, "recovery took 20.1 s, above 20 s"),
        ],
    )
    def test_each_broken_promise_is_a_reason(self, change: dict[str, Any], reason: str) -> None:
        (said,) = replace(GOOD, **change).shortcomings()
        assert reason in said
        assert GOOD.shortcomings() == []


class TestDiscovery:
    def test_takes_text_and_says_what_it_left_out(self, tmp_path: Path) -> None:
        files: dict[str, Any] = {
            "b.md": "Text.",
            "a/deep.txt": "Text.",
            "code.py": "'''Text.'''",
            "empty.txt": "",
            "picture.png": b"\x89PNG\x00",
            "huge.txt": b"x" * (LARGEST_BYTES + 1),
            "demo-report.md": "old",
            "out.md": "this run's",
            **{f"{folder}/hidden.md": "no" for folder in (".git", ".venv", "__pycache__", "x.egg-info")},
            "env/pyvenv.cfg": "",
            "env/hidden.md": "no",
            "cache/CACHEDIR.TAG": "",
            "cache/hidden.md": "no",
        }
        folder = written(tmp_path, files)
        (folder / "link.md").symlink_to(folder / "b.md")
        found = find_documents(folder, leave_out=folder / "out.md", most_files=10)
        assert [each.name for each in found.documents] == ["b.md", "code.py", "a/deep.txt"]
        assert found.skipped == {"empty": 1, "binary": 1, "above 8 MiB": 1}

    def test_counts_what_is_above_the_limit(self, tmp_path: Path) -> None:
        folder = written(tmp_path, {f"{number}.md": "Text." for number in range(5)})
        found = find_documents(folder, leave_out=folder / "out.md", most_files=2)
        assert [each.name for each in found.documents] == ["0.md", "1.md"]
        assert found.skipped == {"above the first 2": 3}

    def test_a_large_document_has_prose(self, tmp_path: Path) -> None:
        text = b"One more sentence of it. " * (LARGE_BYTES // 25 + 1)
        folder = written(tmp_path, {"large.txt": text, "large.json": text, "small.txt": "Text."})
        found = find_documents(folder, leave_out=folder / "out.md", most_files=10)
        assert [each.name for each in found.documents if each.is_large] == ["large.txt"]

    def test_makes_a_large_text_of_the_folders_prose(self, tmp_path: Path) -> None:
        folder = written(tmp_path / "in", {"a.md": "# Title\n\nThe gate opens. [link](x.md)\n\n    code"})
        found = find_documents(folder, leave_out=folder / "out.md", most_files=10)
        large = write_large_text(found.documents, tmp_path)
        assert large.is_large
        assert LARGE_TEXT_BYTES <= large.size_bytes < LARGE_TEXT_BYTES * 1.01
        assert large.path.read_text()[:40] == "Title\n\nThe gate opens. link\n\nTitle\n\nThe "

    def test_a_folder_without_a_sentence_gets_one(self, tmp_path: Path) -> None:
        folder = written(tmp_path / "in", {"a.json": "{}"})
        found = find_documents(folder, leave_out=folder / "out.md", most_files=10)
        assert write_large_text(found.documents, tmp_path).is_large


class TestReport:
    def test_totals_leave_out_what_the_demo_made_and_text_is_escaped(self, tmp_path: Path) -> None:
        def result(name: str, words: int) -> dict[str, Any]:
            dangling = {"target": "a|b.md", "line": 3, "reason": "no such file"}
            return {
                "name": name,
                "digest": "d",
                "words": words,
                "summary": {"considered": 1, "sentences": ["A <b>bold</b> *claim*."]},
                "key_words": ["water gate"],
                "links": {"local": 2, "web": 1, "dangling_count": 4, "dangling": [dangling]},
            }

        results = [result("a.md", 10), result("big.txt", 1000), {"name": "b", "digest": None, "bytes": 3}]
        path = tmp_path / "report.md"
        totals = write_report(path, results, {"folder": "docs", "generated": "big.txt", "killed": "Told."})
        assert totals == {
            "documents": 1,
            "not_text": 1,
            "words": 10,
            "sentences_considered": 1,
            "local_links": 2,
            "web_links": 1,
            "dangling_links": 4,
        }
        page = path.read_text()
        assert "| a.md | 3 | a\\|b.md | no such file |" in page
        assert "> A \\<b\\>bold\\</b\\> \\*claim\\*." in page
        assert "Told." in page
        assert "water gate (1)" in page
        assert list(tmp_path.iterdir()) == [path]
