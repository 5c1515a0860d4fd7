"""Reading documents: decoding, sentences, and the prose that each format holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.executors.documents import (
    Document,
    TextFormat,
    decode_text,
    guess_format,
    split_sentences,
)

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
