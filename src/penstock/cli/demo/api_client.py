"""The caller: submits goals and asks how they stand, over HTTP like anybody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from penstock.cli.demo.goals import Goal
from penstock.core.errors import WorkerError

_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
_FIRST_ERROR: Final = 400


@dataclass(frozen=True, slots=True)
class RunStatus:
    """What `GET /runs/{run_id}/status` said; `progress` is from 0 to 100."""

    run_id: str
    status: str
    progress: int
    current_step: str | None
    error: str | None

    @property
    def is_final(self) -> bool:
        """Whether the run has ended."""
        return self.status in {"completed", "failed", "cancelled"}


class ApiClient:
    """Speaks to one API as one actor. Each call raises `WorkerError` when it is refused."""

    def __init__(self, url: str, token: str, actor: str) -> None:
        self._url = url
        self._actor = actor
        self._session = aiohttp.ClientSession(
            timeout=_TIMEOUT, headers={"Authorization": f"Bearer {token}"}, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def submit(self, goal: Goal, webhook_url: str) -> str:
        """Have a goal run in the background; the run's id."""
        body = {"goal": goal.text, "actor": self._actor, "context": goal.context}
        query = {"background": "true", "webhook_url": webhook_url}
        return str((await self._ask("POST", "/act", query, body))["run_id"])

    async def status(self, run_id: str) -> RunStatus:
        """How a run stands."""
        said = await self._ask("GET", f"/runs/{run_id}/status")
        return RunStatus(
            run_id, said["status"], said["progress"], said["current_step"], said["error_message"]
        )

    async def webhook_secret(self) -> str:
        """The secret with which webhooks to this actor are signed."""
        return str((await self._ask("GET", "/webhooks/secret"))["secret"])

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        try:
            async with self._session.request(
                method, f"{self._url}{path}", params=query, json=body
            ) as response:
                said: dict[str, Any] = await response.json()
                if response.status >= _FIRST_ERROR:
                    raise WorkerError(
                        f"{method} {path} was answered {response.status}: {said.get('detail', said)}"
                    )
                return said
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise WorkerError(f"{method} {path} failed: {str(error) or type(error).__name__}") from error
