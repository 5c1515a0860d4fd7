"""What the demo's workers run: the analysis of one document in durable steps, and the report."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from penstock import JobContext, create_redis_queue
from penstock.cli.demo.ledger import LedgerWriter
from penstock.cli.demo.report import write_report
from penstock.executors.documents import (
    Document,
    check_links,
    decode_text,
    guess_format,
    key_words,
    summarise,
)

Value = TypeVar("Value")

READ, SUMMARISE, KEY_WORDS, LINKS, WRITE = "read", "summarise", "key words", "links", "write"
MOST_DANGLING = 50
RESULTS_AT_A_TIME = 50


class NotedSteps:
    """Durable steps that leave a line in the ledger when they start, finish or are replayed."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        worker = str(context.job.worker_id)
        path = Path(context.payload["ledger"])
        self._ledger = LedgerWriter(path, context.id, worker, context.attempt)

    async def begin(self) -> None:
        """Note that an attempt of the job starts here."""
        await asyncio.to_thread(self._ledger.note, "job started")

    async def run(self, name: str, percent_before: float, function: Callable[[], Value]) -> Value:
        """Run `function` in a thread as a durable step, with the progress it starts from."""
        ran = False

        def noted() -> Value:
            nonlocal ran
            ran = True
            self._ledger.note("step started", name)
            return function()

        await self._context.progress(percent_before, name)
        value = await self._context.step(name, noted)
        await asyncio.to_thread(self._ledger.note, "step finished" if ran else "step replayed", name)
        return value

    async def end(self) -> None:
        """Note that the handler is through."""
        await asyncio.to_thread(self._ledger.note, "job finished")


class Source:
    """The document's file, read once an attempt; later attempts check that it is still the same."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._document: Document | None = None

    def read(self) -> dict[str, Any]:
        """Read the file and describe it; `digest` is None when it is not text."""
        data = self._path.read_bytes()
        text = decode_text(data)
        if text is None:
            return {"digest": None, "bytes": len(data)}
        self._document = Document(text, guess_format(self._name))
        return {
            "digest": hashlib.sha256(data).hexdigest(),
            "bytes": len(data),
            "lines": text.count("\n") + 1,
            "words": len(text.split()),
        }

    def document(self, digest: str) -> Document:
        """The document whose digest the first step stored."""
        if self._document is None and self.read()["digest"] != digest:
            raise ValueError(f"{self._name} changed while it was being analysed; run the demo again")
        assert self._document is not None  # noqa: S101 - read() sets it, or the digest differs
        return self._document

    def exists(self, target: str) -> bool:
        """Whether a link's target is there, seen from the document's folder."""
        try:
            return (self._path.parent / target).exists()
        except (OSError, ValueError):
            return False


async def analyse(context: JobContext) -> dict[str, Any]:
    """Summarise one document, find its key words and check its links, in four durable steps."""
    steps = NotedSteps(context)
    await steps.begin()
    name = str(context.payload["name"])
    source = Source(Path(context.payload["path"]), name)
    facts = await steps.run(READ, 0, source.read)
    result: dict[str, Any] = {"name": name, **facts}
    if facts["digest"] is not None:
        analysis = partial(_analysed, source, facts["digest"])
        result["summary"] = await steps.run(SUMMARISE, 10, partial(analysis, _summary))
        result["key_words"] = await steps.run(KEY_WORDS, 55, partial(analysis, _key_words))
        result["links"] = await steps.run(LINKS, 90, partial(analysis, partial(_links, source)))
    await steps.end()
    return result


async def report(context: JobContext) -> dict[str, Any]:
    """Write the report from the results of all documents, as one durable step."""
    steps = NotedSteps(context)
    await steps.begin()
    payload = context.payload
    results = await _results(payload["queue"], payload["jobs"])
    totals = await steps.run(
        WRITE, 50, partial(write_report, Path(payload["report"]), results, payload["story"])
    )
    await steps.end()
    return totals


def _analysed(source: Source, digest: str, analysis: Callable[[Document], Value]) -> Value:
    return analysis(source.document(digest))


def _summary(document: Document) -> dict[str, Any]:
    summary = summarise(document, sentence_count=3)
    return {
        "considered": summary.sentences_considered,
        "sentences": [sentence.text for sentence in summary.sentences],
    }


def _key_words(document: Document) -> list[str]:
    return [word.phrase for word in key_words(document, limit=8)]


def _links(source: Source, document: Document) -> dict[str, Any]:
    links = check_links(document, source.exists)
    return {
        "local": links.local_links,
        "web": links.web_links,
        "dangling_count": len(links.dangling),
        "dangling": [asdict(link) for link in links.dangling[:MOST_DANGLING]],
    }


async def _results(queue_name: str, job_ids: list[str]) -> list[dict[str, Any]]:
    """The results of all jobs in the order of their ids; the server is the worker's own."""
    results: list[dict[str, Any]] = []
    queue = await create_redis_queue(queue_name=queue_name)
    try:
        for start in range(0, len(job_ids), RESULTS_AT_A_TIME):
            page = job_ids[start : start + RESULTS_AT_A_TIME]
            jobs = await asyncio.gather(*(queue.get_status(job_id) for job_id in page))
            results += [job.result for job in jobs if job is not None and job.result is not None]
    finally:
        await queue.close()
    return results


HANDLERS = {"document": analyse, "report": report}
