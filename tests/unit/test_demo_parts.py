"""The parts of the demo that judge: its ledger, its counting, its goals, its texts, its receiver."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from standardwebhooks import Webhook

from penstock.cli.demo.goals import Goal, read_goals
from penstock.cli.demo.ledger import Fact, FactName, LedgerReader, LedgerWriter
from penstock.cli.demo.library import LARGE_BYTES, LARGE_NAME, examples_folder, lay_out
from penstock.cli.demo.outcome import Kill, Outcome, reclaimed_starts, repeated_steps, was_in_the_middle
from penstock.cli.demo.receiver import Receiver
from penstock.cli.demo.watch import step_in_the_middle
from penstock.core.errors import ConfigurationError
from penstock.executors.agent.workspace import MOST_READ_BYTES
from penstock.executors.offline.goals import understand
from tests.acceptance.command_line import written

if TYPE_CHECKING:
    from pathlib import Path

GOOD = Outcome(5, 5, 0, 1, 2, 0, 5, 0, 5, 15.0, 22.0)
SECRET = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXM="


def fact(name: FactName, worker: str, at_seconds: float, step: str | None = None, job: str = "big") -> Fact:
    return Fact(name, job, worker, 1, at_seconds, step)


STORY = [
    fact("job started", "a", 1),
    fact("step started", "a", 2, "read"),
    fact("job started", "a", 2.5, job="small"),
    fact("step finished", "a", 3, "read"),
    fact("step started", "a", 4, "sum"),
    fact("step started", "a", 4.2, "sum: inner"),
    fact("job started", "b", 4.5, job="other"),
    fact("job started", "b", 20, job="small"),
    fact("job started", "b", 22),
    fact("step replayed", "b", 23, "read"),
    fact("step started", "b", 24, "sum"),
    fact("step finished", "b", 25, "sum"),
]
KILL = Kill("a", "big", "sum: inner", 5.0)


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
    def test_the_middle_is_the_innermost_open_step_after_another_was_finished(self) -> None:
        seen = [step_in_the_middle(STORY[:count], ["big"]) for count in range(7)]
        assert seen[:5] == [None] * 5
        assert [one and (one.name, one.worker, one.at_seconds) for one in seen[5:]] == [
            ("sum", "a", 4),
            ("sum: inner", "a", 4.2),
        ]
        assert step_in_the_middle(STORY[:6], ["small", "other"]) is None
        assert step_in_the_middle(STORY, ["big"]) is None

    def test_a_step_that_was_finished_after_all_is_no_kill_in_the_middle(self) -> None:
        assert was_in_the_middle(STORY, KILL)
        assert not was_in_the_middle([*STORY, fact("step finished", "a", 5, "sum: inner")], KILL)

    def test_reclaimed_jobs_are_those_that_started_again_elsewhere(self) -> None:
        assert reclaimed_starts(STORY, KILL) == {"small": 20, "big": 22}

    def test_a_replayed_step_is_no_repetition_and_a_restarted_one_is(self) -> None:
        assert repeated_steps(STORY) == 0
        assert repeated_steps([*STORY, fact("step started", "b", 26, "read")]) == 1

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"failed": 2, "completed": 3}, "2 of 5 runs failed"),
            ({"completed": 4}, "1 of 5 runs did not end"),
            ({"steps_repeated": 1}, "1 finished steps were repeated"),
            ({"workers_killed": 0}, "no worker was killed in the middle"),
            ({"reclaimed": 0, "recovery_seconds": None}, "started again elsewhere"),
            ({"recovery_seconds": 20.1}, "recovery took 20.1 s, above 20 s"),
            ({"webhooks_verified": 4}, "4 webhooks were verified, 5 were expected"),
            ({"webhooks_refused": 1}, "1 webhooks had a bad signature"),
            ({"history_rows": 4}, "the history has 4 ended runs"),
        ],
    )
    def test_each_broken_promise_is_a_reason(self, change: dict[str, Any], reason: str) -> None:
        (said,) = replace(GOOD, **change).shortcomings()
        assert reason in said
        assert GOOD.shortcomings() == []


class TestGoals:
    def test_goals_come_in_their_order_with_their_context(self, tmp_path: Path) -> None:
        lines = '{"goal": "One."}\n\n{"goal": "Two.", "context": {"folder": "notes"}}\n'
        path = written(tmp_path, {"goals.jsonl": lines}) / "goals.jsonl"
        assert read_goals(path) == [Goal("One."), Goal("Two.", {"folder": "notes"})]

    def test_the_examples_are_goals_that_are_understood(self) -> None:
        goals = read_goals(examples_folder() / "goals.jsonl")
        assert len(goals) >= 10
        assert any(LARGE_NAME in goal.text for goal in goals)
        for goal in goals:
            assert understand(goal.text)

    def test_what_is_not_text_is_refused(self, tmp_path: Path) -> None:
        path = written(tmp_path, {"goals.jsonl": b"\xff\xfe\x00"}) / "goals.jsonl"
        with pytest.raises(ConfigurationError, match="not UTF-8"):
            read_goals(path)


class TestLibrary:
    def test_lays_out_a_copy_and_one_large_text(self, tmp_path: Path) -> None:
        texts = written(tmp_path / "texts", {"a.md": "One two.\n", "b/c.txt": "Three.\n", ".git/x": "no"})
        library = lay_out(texts, tmp_path / "copy")
        assert (library.count, library.size_bytes) == (2, 16)
        names = sorted(
            path.relative_to(library.folder).as_posix()
            for path in library.folder.rglob("*")
            if path.is_file()
        )
        assert names == ["a.md", LARGE_NAME, "b/c.txt"]
        large = (library.folder / LARGE_NAME).stat().st_size
        assert LARGE_BYTES - 100 <= large < MOST_READ_BYTES
        assert sorted(path.name for path in texts.iterdir()) == [".git", "a.md", "b"]

    def test_the_examples_are_texts_of_some_size(self, tmp_path: Path) -> None:
        library = lay_out(examples_folder() / "texts", tmp_path / "copy")
        assert library.count >= 8
        assert library.size_bytes > 20_000


class TestReceiver:
    async def test_believes_only_what_is_signed(self) -> None:
        body = b'{"event": "run.completed", "run_id": "r1"}'
        now = datetime.now(UTC)
        good = {
            "webhook-id": "wh:r1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(SECRET).sign("wh:r1", now, body.decode()),
        }
        async with Receiver() as receiver, aiohttp.ClientSession() as session:
            before = await session.post(receiver.url, data=body, headers=good)
            receiver.trust(SECRET)
            answers = [
                await session.post(receiver.url, data=body, headers=good),
                await session.post(receiver.url, data=body, headers=good),
                await session.post(receiver.url, data=body + b" ", headers=good),
                await session.post(receiver.url, data=body),
            ]
            assert before.status == 401
            assert [one.status for one in answers] == [204, 204, 401, 401]
            assert receiver.verified == {"r1": "run.completed"}
            assert receiver.deliveries == {"wh:r1": 2}
            assert receiver.refused == 3
