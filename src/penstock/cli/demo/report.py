"""The demo's report: one Markdown page made of the results of all documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_MOST_KEY_WORDS = 12

Result = dict[str, Any]


def write_report(path: Path, results: Sequence[Result], story: dict[str, Any]) -> dict[str, Any]:
    """Write the report in one move and return its totals, which count the folder's own files.

    `story` says what the page cannot know from the results: `folder`, `generated` (the name of the
    text the demo made itself, if any) and `killed`, a sentence on the worker that was killed.
    """
    texts = [result for result in results if result["digest"] is not None]
    own = [result for result in texts if result["name"] != story["generated"]]
    totals = {
        "documents": len(own),
        "not_text": len(results) - len(texts),
        "words": sum(result["words"] for result in own),
        "sentences_considered": sum(result["summary"]["considered"] for result in own),
        "local_links": sum(result["links"]["local"] for result in own),
        "web_links": sum(result["links"]["web"] for result in own),
        "dangling_links": sum(result["links"]["dangling_count"] for result in own),
    }
    page = "\n".join(_page(texts, totals, story)) + "\n"
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(page, encoding="utf-8")
    unfinished.replace(path)
    return totals


def _page(texts: Sequence[Result], totals: dict[str, Any], story: dict[str, Any]) -> Iterator[str]:
    yield f"# What is in {_plain(story['folder'])}"
    yield ""
    yield "Written by `penstock demo`: one job for each text file, and a last one for this page."
    yield ""
    yield "| | |"
    yield "|---|---:|"
    for name, count in totals.items():
        yield f"| {name.replace('_', ' ')} | {count:,} |"
    yield ""
    yield story["killed"]
    yield ""
    yield from _dangling(texts)
    yield from _common_key_words([result for result in texts if result["name"] != story["generated"]])
    yield "## Documents"
    for result in texts:
        yield ""
        yield f"### {_plain(result['name'])}"
        yield ""
        if result["name"] == story["generated"]:
            yield "*Made by the demo from the prose of the others, so that one step takes long.*"
            yield ""
        yield f"{result['words']:,} words. Key words: {_plain(', '.join(result['key_words']) or 'none')}."
        for sentence in result["summary"]["sentences"]:
            yield ""
            yield f"> {_plain(sentence)}"


def _dangling(texts: Sequence[Result]) -> Iterator[str]:
    yield "## Dangling links"
    yield ""
    rows = [(result["name"], link) for result in texts for link in result["links"]["dangling"]]
    if not rows:
        yield "None."
        yield ""
        return
    yield "| document | line | target | why |"
    yield "|---|---:|---|---|"
    for name, link in rows:
        yield f"| {_plain(name)} | {link['line']} | {_plain(link['target'])} | {link['reason']} |"
    hidden = sum(result["links"]["dangling_count"] for result in texts) - len(rows)
    yield ""
    if hidden:
        yield f"And {hidden:,} more in documents with many."
        yield ""


def _common_key_words(texts: Sequence[Result]) -> Iterator[str]:
    counts = Counter(phrase for result in texts for phrase in result["key_words"])
    yield "## Key words of most documents"
    yield ""
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MOST_KEY_WORDS]
    yield ", ".join(f"{_plain(phrase)} ({count})" for phrase, count in common) or "None."
    yield ""


def _plain(text: str) -> str:
    """The text as it is, with every character escaped that Markdown would take for mark-up."""
    escaped = "".join(f"\\{letter}" if letter in "\\`*_[]<>|#" else letter for letter in text)
    return " ".join(escaped.split())
