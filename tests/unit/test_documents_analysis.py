"""Analysing documents: summary, key words and links, and that no text breaks any of it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.executors.documents import (
    DanglingLink,
    Document,
    TextFormat,
    check_links,
    key_words,
    summarise,
)
from tests.unit.test_documents import GUIDE

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATS = list(TextFormat)

PIECES = [
    *("# H", "para. Next one here", "[a](b)", "[a](#b)", "```", "\n", "\n\n", "    ", "::", ".. x::"),
    *("<p>", "</p>", "<!--", "|a|b|", "--- ", '"""', "'''", "/*", "*/", "#", "- ", "> ", "`a`_"),
    *("====", "word ", "https://x.org ", "&amp;", "]]>", "<a "),
]


def there(*names: str) -> Callable[[str], bool]:
    return lambda path: path in names


class TestSummary:
    STORY = (
        "The worker takes a job from the queue and runs it. Lunch was late on that rainy day. "
        "When a worker dies, another worker takes the job from the queue. "
        "Nobody asked the cook about it. A job in the queue is never lost when its worker dies."
    )

    def test_prefers_sentences_about_the_subject(self) -> None:
        summary = summarise(Document(self.STORY), sentence_count=2)
        assert summary.sentences_considered == 5
        assert all("worker" in sentence.text for sentence in summary.sentences)

    def test_keeps_reading_order_and_passes_over_near_copies(self) -> None:
        summary = summarise(Document(self.STORY + "\n\n" + self.STORY), sentence_count=10)
        positions = [sentence.position for sentence in summary.sentences]
        assert positions == sorted(positions)
        assert len({sentence.text for sentence in summary.sentences}) == len(positions) == 4
        assert max(sentence.score for sentence in summary.sentences) == 1.0

    @pytest.mark.parametrize("text", ["", "Too short.", "x" * 10_000, "1 2 3 4 5 6 7.", "!" * 99])
    def test_text_without_sentences_has_an_empty_summary(self, text: str) -> None:
        assert summarise(Document(text)).sentences == ()

    def test_refuses_a_count_below_one(self) -> None:
        with pytest.raises(ValueError, match="at least 1, got 0"):
            summarise(Document("a"), sentence_count=0)

    def test_is_the_same_in_every_process(self) -> None:
        program = (
            "import sys; from penstock.executors.documents import *\n"
            "d = Document(sys.stdin.read())\n"
            "print(repr((summarise(d, sentence_count=4), key_words(d))))"
        )
        text = self.STORY * 3 + GUIDE
        outputs = {
            subprocess.run(
                [sys.executable, "-c", program],
                input=text,
                env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("1", "2", "3")
        }
        assert len(outputs) == 1


class TestKeyWords:
    def test_finds_the_subject_and_counts_plurals_with_it(self) -> None:
        text = (
            "The event loop runs the worker. Workers share an event loop, and the event loop "
            "renews the worker's lease. A lease lapses when the event loop stands still."
        )
        found = {word.phrase: word.count for word in key_words(Document(text))}
        assert next(iter(found)) == "event loop"
        assert found["event loop"] == 4
        assert found["worker"] == 3

    def test_best_first_without_repeats(self) -> None:
        words = key_words(Document(GUIDE, TextFormat.MARKDOWN), limit=5)
        scores = [word.score for word in words]
        assert scores == sorted(scores, reverse=True)
        assert scores[0] == 1.0
        singles = [set(word.phrase.split()) for word in words]
        assert not any(a <= b for i, a in enumerate(singles) for b in singles[i + 1 :])

    def test_data_gives_the_words_of_the_whole_text(self) -> None:
        words = key_words(Document('{"turbine": "turbine"}', TextFormat.DATA))
        assert [word.phrase for word in words] == ["turbine"]

    def test_refuses_a_limit_below_one(self) -> None:
        with pytest.raises(ValueError, match="at least 1, got 0"):
            key_words(Document("a"), limit=0)


class TestLinks:
    def test_markdown_links_images_and_anchors(self) -> None:
        report = check_links(
            Document(GUIDE, TextFormat.MARKDOWN), there("gate.md", "reference.md", "table.md")
        )
        assert report.dangling == (
            DanglingLink("img/hall.png", 8, "no such file"),
            DanglingLink("no/such%20file.md?plain=1#part", 20, "no such file"),
            DanglingLink("#nowhere", 20, "no such heading"),
            DanglingLink("raw.png", 23, "no such file"),
        )
        assert report.web_links == 2
        assert report.local_links == 10

    def test_each_path_is_looked_up_once_and_decoded(self) -> None:
        asked: list[str] = []

        def note(path: str) -> bool:
            asked.append(path)
            return True

        check_links(Document("[a](x%20y.md#one) [b](x%20y.md#two)", TextFormat.MARKDOWN), note)
        assert asked == ["x y.md"]

    def test_html_links(self) -> None:
        page = '<a href="a.html">a</a>\n<a href="#b">b</a><p id="b"><img src="c.png">'
        page += '<a href="//x.org">'
        report = check_links(Document(page, TextFormat.HTML), there("a.html"))
        assert report.dangling == (DanglingLink("c.png", 2, "no such file"),)
        assert (report.local_links, report.web_links) == (3, 1)

    def test_rest_links(self) -> None:
        text = (
            "The Gate\n========\n\n`there <a.rst>`_ and `gone <b.rst>`__ and `top <#the-gate>`_\n"
            ".. image:: c.png\n.. _site: https://example.org\n.. _label:\n"
        )
        report = check_links(Document(text, TextFormat.REST), there("a.rst"))
        assert [link.target for link in report.dangling] == ["b.rst", "c.png"]
        assert (report.local_links, report.web_links) == (4, 1)

    def test_plain_text_has_only_web_links(self) -> None:
        report = check_links(Document("see https://example.org/x and a.md"), there())
        assert (report.dangling, report.local_links, report.web_links) == ((), 0, 1)


class TestAnyText:
    @settings(max_examples=60, deadline=None)
    @given(
        text=st.one_of(
            st.text(max_size=400),
            st.lists(
                st.sampled_from(PIECES),
                max_size=60,
            ).map("".join),
        ),
        text_format=st.sampled_from(FORMATS),
    )
    def test_never_fails_and_never_invents(self, text: str, text_format: TextFormat) -> None:
        document = Document(text, text_format)
        summary = summarise(document)
        assert all(sentence.text in document.sentences for sentence in summary.sentences)
        assert all(0 < word.score <= 1 and word.count >= 1 for word in key_words(document))
        report = check_links(document, there())
        assert len(report.dangling) <= report.local_links
        lines = text.count("\n") + 1
        assert all(1 <= link.line <= lines for link in report.dangling)

    @pytest.mark.parametrize("text_format", FORMATS)
    @pytest.mark.parametrize(
        "piece",
        ["<!--", "<?", "</a", "/*\n", '"""\n', "...", "`", "a-", "\n \n", "[a](", "|a", ". "],
    )
    def test_hostile_repetition_ends(self, piece: str, text_format: TextFormat) -> None:
        """Quadratic time over these 60 KB would show as the test's time limit."""
        document = Document(piece * (60_000 // len(piece)), text_format)
        summarise(document)
        key_words(document)
        check_links(document, there())
