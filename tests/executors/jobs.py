"""Handlers for worker processes of the executor tests; settings come from the environment."""

from collections.abc import Mapping
from typing import Any

from penstock.core.settings import ServiceSettings
from penstock.executors.agent import AGENT_TYPE, agent_handler

handlers: Mapping[str, Any] = {AGENT_TYPE: agent_handler(ServiceSettings())}
