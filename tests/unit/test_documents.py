"""The document analysis: what each format hides, and that no text breaks it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.executors.documents import (
    DanglingLink,
    Document,
    TextFormat,
    check_links,
    decode_text,
    guess_format,
    key_words,
    split_sentences,
    summarise,
)

FORMATS = list(TextFormat)

PIECES = [
    *("# H", "para. Next one here", "[a](b)", "[a](#b)", "```", "\n", "\n\n", "    ", "::", ".. x::"),
    *("<p>", "</p>", "<!--", "|a|b|", "--- ", '"""', "'''", "/*", "*/", "#", "- ", "> ", "`a`_"),
    *("====", "word ", "https://x.org ", "&amp;", "]]>", "<a "),
]

GUIDE = """\
---
title: not prose
---
# The turbine hall

A penstock brings water to the turbine under control. The gate opens slowly, e.g. in ten
seconds, because a fast gate breaks the pipe. See [the gate](gate.md) and
![a picture](img/hall.png), or [the top](#the-turbine-hall).

```python
code = "Never a sentence. Not at all."
```

| column | other |
| ------ | ----- |
| cell text is not a sentence at all here | [in a table](table.md) |

## The turbine hall

- [Missing](no/such%20file.md?plain=1#part) and [no heading](#nowhere)
- [web](https://example.org/a) and <https://example.org/b> and [mail](mailto:a@example.org)

<a id="by-hand"></a> [hand-made](#by-hand) [second](#the-turbine-hall-1) <img src="raw.png">

[ref]: reference.md
[A reference][ref]
"""


def there(*names: str) -> Callable[[str], bool]:
    return lambda path: path in names


class TestDecoding:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
    def test_reads_what_a_byte_order_mark_announces(self, encoding: str) -> None:
        assert decode_text("Grüße, мир\n".encode(encoding)) == "Grüße, мир\n"

    def test_reads_old_western_text(self) -> None:
        assert decode_text("Grüße".encode("cp1252")) == "Grüße"

    @pytest.mark.parametrize("data", [b"\x7fELF\x02\x01\x00", b"\x89PNG\r\n\x1a\n\x00", b"\x81\x8d"])
    def test_binary_is_not_text(self, data: bytes) -> None:
        assert decode_text(data) is None

    def test_an_empty_file_is_an_empty_text(self) -> None:
        assert decode_text(b"") == ""

    def test_line_ends_become_one(self) -> None:
        assert decode_text(b"a\r\nb\rc\n") == "a\nb\nc\n"

    @given(st.binary(max_size=200))
    def test_any_bytes_are_text_or_not(self, data: bytes) -> None:
        text = decode_text(data)
        assert text is None or "\r" not in text

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("README.md", TextFormat.MARKDOWN),
            ("page.HTM", TextFormat.HTML),
            ("index.rst", TextFormat.REST),
            ("notes.txt", TextFormat.PLAIN),
            ("LICENSE", TextFormat.PLAIN),
            ("job.py", TextFormat.PYTHON),
            ("claim.lua", TextFormat.CODE),
            ("Makefile", TextFormat.CODE),
            (".gitignore", TextFormat.CODE),
            ("data.json", TextFormat.DATA),
        ],
    )
    def test_a_name_promises_a_format(self, name: str, expected: TextFormat) -> None:
        assert guess_format(name) is expected


class TestSentences:
    @pytest.mark.parametrize(
        ("text", "count"),
        [
            ("One ends. Two begins.", 2),
            ("Dr. Smith met Mrs. Jones at 3.5 p.m. on St. Mary's road.", 1),
            ("Use a queue, e.g. Redis, i.e. a server. It is fast.", 2),
            ("Really?! Yes. No… maybe.", 3),
            ("J. R. R. Tolkien wrote it. We read it.", 2),
            ("Version 2.0 is out. 3 people noticed.", 2),
            ("It costs 5 etc. Then we left.", 2),
            ('He said "Stop." Then he left.', 2),
            ("1. First item of a list.", 1),
            ("水が流れる。門が開く。", 2),
            ("no end mark at all", 1),
            ("", 0),
            ("   \n ", 0),
        ],
    )
    def test_splits_where_a_reader_would(self, text: str, count: int) -> None:
        assert len(split_sentences(text)) == count, split_sentences(text)

    @given(st.text(max_size=300))
    def test_loses_no_word(self, text: str) -> None:
        assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())

    @given(st.lists(st.sampled_from(["Dr", "e.g", "A", "word", "1", "3.5", "etc", "Now"]), max_size=9))
    def test_splitting_again_never_loses_or_adds(self, words: list[str]) -> None:
        sentences = split_sentences(". ".join(words))
        assert " ".join(sentences).split() == ". ".join(words).split()


class TestProse:
    def test_markdown_hides_code_tables_and_front_matter(self) -> None:
        document = Document(GUIDE, TextFormat.MARKDOWN)
        prose = " ".join(document.sentences)
        assert "brings water to the turbine" in prose
        for hidden in ("Never a sentence", "cell text", "title:", "](", "<img"):
            assert hidden not in prose
        assert [block.text for block in document.blocks if block.is_heading] == [
            "The turbine hall",
            "The turbine hall",
        ]

    def test_html_hides_scripts_and_tables(self) -> None:
        page = (
            "<head><title>t</title></head><h1>Gate</h1><p>It <b>opens</b> &amp; closes.</p>"
            "<script>var a = 'no';</script><table><tr><td>no</td></tr></table>"
            "<!-- no --><div>Yes.</div>"
        )
        blocks = Document(page, TextFormat.HTML).blocks
        assert [(block.text, block.is_heading) for block in blocks] == [
            ("Gate", True),
            ("It opens & closes.", False),
            ("Yes.", False),
        ]

    def test_an_unclosed_element_does_not_silence_the_page(self) -> None:
        page = "<nav><table><p>menu</nav><p>Text.</p>"
        assert [block.text for block in Document(page, TextFormat.HTML).blocks] == ["Text."]

    def test_rest_hides_directives_literals_and_tables(self) -> None:
        text = (
            "Gate\n====\n\nIt *opens* with :ref:`the wheel <wheel>` as ``__init__`` says. "
            "Like so::\n\n"
            "    code = no\n\n.. note::\n   no\n\n=====  ====\na      b\n=====  ====\n\n"
            "See `the site <https://example.org>`_.\n"
        )
        blocks = Document(text, TextFormat.REST).blocks
        assert [(block.text, block.is_heading) for block in blocks] == [
            ("Gate", True),
            ("It opens with the wheel as __init__ says. Like so", False),
            ("See the site.", False),
        ]

    def test_python_gives_docstrings_and_comments(self) -> None:
        code = (
            '"""Open the gate.\n\nSlowly, as always.\n\n    >>> open_gate()\n"""\n'
            'x = \'no\'  \n# First line of\n# a comment.\nPATTERN = r"""no"""\n'
        )
        blocks = Document(code, TextFormat.PYTHON).blocks
        assert [block.text for block in blocks] == [
            "Open the gate.",
            "Slowly, as always.",
            "First line of\na comment.",
        ]

    def test_other_code_gives_comments(self) -> None:
        code = "-- Take the lapsed leases first.\nlocal a = 1\n/* And a\n * block. */\nb = '/*'\n"
        blocks = Document(code, TextFormat.CODE).blocks
        assert [block.text for block in blocks] == [
            "Take the lapsed leases first.",
            "And a\nblock.",
        ]

    def test_data_has_no_prose(self) -> None:
        assert Document('{"a": "A sentence. Or two."}', TextFormat.DATA).sentences == ()


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
