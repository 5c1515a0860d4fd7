"""Fixtures of the executor tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import MakeQueue
from tests.executors.support import Agents
from tests.harness.openai_server import OpenAIServer, text


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """An empty folder for an agent's files."""
    place = tmp_path / "workspace"
    place.mkdir()
    return place


@pytest.fixture
async def agents(make_queue: MakeQueue, workspace: Path) -> Agents:
    """Runs goals with the offline model over the workspace."""
    return Agents(await make_queue("runs"), workspace)


@pytest.fixture
async def provider(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OpenAIServer]:
    """A provider whose script the test sets; no key of the machine is used."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with OpenAIServer(lambda _: text("nothing is scripted")) as server:
        yield server
