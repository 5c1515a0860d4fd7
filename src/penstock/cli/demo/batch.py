"""The jobs of the demo: one for each document, and the last one that writes the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from penstock import Job
from penstock.cli.demo.discovery import FoundDocument

REPORT_JOB = "report"


class Batch:
    """The document jobs in their order, and what their ids stand for."""

    def __init__(self, documents: Sequence[FoundDocument], large: FoundDocument, ledger: Path) -> None:
        self.names = {f"document-{number:04}": each.name for number, each in enumerate(documents, 1)}
        self.large_id = next(
            job_id for job_id, each in zip(self.names, documents, strict=True) if each is large
        )
        self.large_name = large.name
        self.ledger = ledger
        self.jobs = [
            Job(
                {"path": str(each.path), "name": each.name, "ledger": str(self.ledger)},
                type="document",
                id=job_id,
            )
            for job_id, each in zip(self.names, documents, strict=True)
        ]

    def report_job(self, queue_name: str, report: Path, story: dict[str, Any]) -> Job:
        """The job that writes the report from the results of all the others."""
        payload = {
            "queue": queue_name,
            "report": str(report),
            "jobs": list(self.names),
            "story": story,
            "ledger": str(self.ledger),
        }
        return Job(payload, type="report", id=REPORT_JOB)
