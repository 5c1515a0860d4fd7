"""Models by name, and durable requests to them.

| name | model |
|---|---|
| `offline` | the built-in planner: deterministic, no key, no network |
| `openai:<model>` | OpenAI with `OPENAI_API_KEY`, or the server at `model_base_url` |
| `anthropic:<model>` | Anthropic with `ANTHROPIC_API_KEY` |
| `<model>` | with `model_base_url`: that model of the OpenAI-compatible server there |
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from penstock.core.errors import ConfigurationError
from penstock.executors.durable import durable

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from penstock.core.settings import ServiceSettings

__all__ = ["KNOWN_FORMS", "OFFLINE", "durable", "model_by_name"]

OFFLINE: Final = "offline"
KNOWN_FORMS: Final = (
    "'offline', 'openai:<model>', 'anthropic:<model>', or with PENSTOCK_MODEL_BASE_URL the name of any "
    "model that the OpenAI-compatible server there has"
)
# Servers of one's own often want no key, but the client insists on sending one.
_NO_KEY: Final = "no-key"


def model_by_name(name: str, settings: ServiceSettings) -> Model:
    """The model called ``name``; ``async with`` it closes its connections.

    The provider's own client does not repeat failed requests: that is for the job's retry policy.
    Raises ``ConfigurationError`` for a name that means nothing, a missing key or a missing package.
    """
    provider, colon, model = name.strip().partition(":")
    if name.strip() == OFFLINE:
        from penstock.executors.offline import OfflineModel

        return OfflineModel()
    if colon and provider in {"openai", "anthropic"}:
        if not model:
            raise ConfigurationError(f"model {name!r} names no model: expected {KNOWN_FORMS}")
        return _anthropic(model) if provider == "anthropic" else _openai(model, settings.model_base_url)
    if settings.model_base_url and name.strip():
        return _openai(name.strip(), settings.model_base_url)
    raise ConfigurationError(f"model {name!r} is not known: expected {KNOWN_FORMS}")


def _openai(model: str, base_url: str | None) -> Model:
    key = os.environ.get("OPENAI_API_KEY") or (_NO_KEY if base_url else None)
    if key is None:
        raise ConfigurationError(
            f"model 'openai:{model}' needs a key: set OPENAI_API_KEY, or PENSTOCK_MODEL_BASE_URL for a "
            "server of your own, or use the model 'offline'"
        )
    try:
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider
    except ImportError as error:
        raise _missing("openai", error) from error
    return OpenAIChatModel(
        model, provider=OpenAIProvider(base_url=base_url, api_key=key), settings={"max_retries": 0}
    )


def _anthropic(model: str) -> Model:
    key = os.environ.get("ANTHROPIC_API_KEY")
    if not key:
        raise ConfigurationError(
            f"model 'anthropic:{model}' needs a key: set ANTHROPIC_API_KEY, or use the model 'offline'"
        )
    try:
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider
    except ImportError as error:
        raise _missing("anthropic", error) from error
    return AnthropicModel(model, provider=AnthropicProvider(api_key=key), settings={"max_retries": 0})


def _missing(package: str, error: ImportError) -> ConfigurationError:
    return ConfigurationError(
        f"models of {package} need packages that are not installed ({error}): pip install 'penstock[agents]'"
    )
