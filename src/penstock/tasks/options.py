"""What a task or one call of it says about its jobs, and how that becomes a ``Job``."""

from __future__ import annotations

import difflib
import string
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, TypedDict

from penstock.core.errors import ConfigurationError, TaskArgumentError
from penstock.core.job import Job

#: A template over the arguments, ``"user:{user_id}"``, or a function of them by name; ``None`` is no key.
Key: TypeAlias = "str | Callable[[Mapping[str, Any]], str | None]"


class TaskOptions(TypedDict, total=False):
    """What ``@task`` may say about the jobs of a task; ``options`` may say it for one call.

    ``concurrency_key``, ``rate_key`` and ``unique_key`` are templates over the arguments
    (``"user:{user_id}"``) or functions of a mapping of them. The rest is as on ``Job``.
    """

    queue: str
    priority: int
    max_attempts: int
    timeout_seconds: float | None
    idle_timeout_seconds: float | None
    concurrency_key: Key | None
    concurrency_limit: int | None
    rate_key: Key | None
    rate_units: int
    unique_key: Key | None
    unique_policy: Literal["existing", "reject", "replace"]
    unique_window_seconds: float
    result_ttl_seconds: float | None
    record: bool
    metadata: dict[str, Any]


class CallOptions(TaskOptions, total=False):
    """What ``options`` may say for one call, beyond what ``@task`` may."""

    job_id: str
    delay_seconds: float
    run_at: datetime | float | None
    durable: bool
    expires_at: float | None
    parents: list[str]
    on_parent_failure: Literal["cancel", "fail", "run"]
    trace: dict[str, str]


#: Keys that are made from the arguments, and the options that mean nothing without them.
_KEYS: Final = {
    "concurrency_key": ("concurrency_limit",),
    "rate_key": ("rate_units",),
    "unique_key": ("unique_policy", "unique_window_seconds"),
}
_WHEN: Final = ("delay_seconds", "run_at", "durable")
_RENAMED: Final = {"queue": "queue_name", "job_id": "id"}


def check_options(given: Mapping[str, Any], allowed: type, what: str) -> None:
    """Refuse an option that does not exist with a ``ConfigurationError`` that suggests one."""
    known = allowed.__annotations__
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known))}"
            raise ConfigurationError(f"{what} has no option {name!r}; {hint}")


def check_templates(options: Mapping[str, Any], parameters: Mapping[str, Any], what: str) -> None:
    """Refuse a key that names what is no parameter with ``ConfigurationError``."""
    for option in _KEYS:
        key = options.get(option)
        if key is None or callable(key):
            continue
        try:
            names = [name for _, name, _, _ in string.Formatter().parse(key) if name is not None]
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"{what}: {option}={key!r} is no template: {error}; expected text like 'user:{{user_id}}'"
            ) from None
        for name in names:
            root = name.partition(".")[0].partition("[")[0]
            if root not in parameters:
                raise ConfigurationError(
                    f"{what}: {option}={key!r} names {root!r}, which is no argument; "
                    f"the arguments are {', '.join(parameters) or 'none'}"
                )


def enqueue_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those options that say how the job is handed over rather than what it is."""
    return {name: options[name] for name in _WHEN if options.get(name)}


def make_job(
    name: str, payload: dict[str, Any], options: Mapping[str, Any], arguments: Mapping[str, Any]
) -> Job:
    """The job of one call; ``arguments`` fill the templates of keys."""
    values: dict[str, Any] = {}
    for option, value in options.items():
        if value is None or option in _WHEN:
            continue
        field = _RENAMED.get(option, option)
        values[field] = _key(name, option, value, arguments) if option in _KEYS else value
    for option, dependents in _KEYS.items():
        if values.get(option, "") is None:
            # This call has no such key, as its function said.
            for dependent in dependents:
                values.pop(dependent, None)
    return Job(payload=payload, type=name, **values)


def _key(task: str, option: str, key: Key, arguments: Mapping[str, Any]) -> str | None:
    try:
        return key(arguments) if callable(key) else key.format(**arguments)
    except Exception as error:
        raise TaskArgumentError(
            f"task {task!r}: its {option} cannot be made from these arguments: "
            f"{type(error).__name__}: {error}"
        ) from error
