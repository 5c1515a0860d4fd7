"""The options of flow control, checked and encoded for the scripts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, get_args

import msgspec

from penstock.core.codec import as_json
from penstock.core.errors import InvalidJobError
from penstock.core.job import Job, ParentPolicy, UniquePolicy
from penstock.core.names import check_flow_key, check_parent

MOST_PARENTS = 100_000
MOST_UNITS = 10**12
MOST_PLACES = 1_000_000

_FIELDS = {
    "key": "concurrency_key",
    "limit": "concurrency_limit",
    "rate": "rate_key",
    "units": "rate_units",
    "unique": "unique_key",
    "policy": "unique_policy",
    "parents": "parents",
    "on_failure": "on_parent_failure",
    "joins": "joins",
}

_encoder = msgspec.json.Encoder(enc_hook=as_json)


def encode_flow(job: Job, ttl_ms: int, check_duration: Callable[[object, str], float]) -> bytes:
    """The options as JSON, empty when the job has none; raise ``InvalidJobError`` saying what is wrong."""
    options = _key_options(job) | _unique_options(job, check_duration) | _kin_options(job)
    if job.expires_at is not None:
        options["expires"] = round(_checked_time(job.expires_at) * 1000)
    if job.result_ttl_seconds is not None:
        own_ttl_ms = round(check_duration(job.result_ttl_seconds, "result_ttl_seconds") * 1000)
        options["keep_shift"] = own_ttl_ms - ttl_ms
    return _encoder.encode(options) if options else b""


def read_flow(job: Job, raw: bytes) -> None:
    """Write stored options back onto ``job``; raise ``ValueError`` for what is no JSON object."""
    options = msgspec.json.decode(raw, type=dict[str, Any])
    for name, field in _FIELDS.items():
        if name in options:
            setattr(job, field, options[name])
    if "window" in options:
        job.unique_window_seconds = options["window"] / 1000
    if "expires" in options:
        job.expires_at = options["expires"] / 1000


def _key_options(job: Job) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if job.concurrency_key is not None:
        options["key"] = check_flow_key(job.concurrency_key, "concurrency_key")
    if job.concurrency_limit is not None:
        if job.concurrency_key is None:
            raise InvalidJobError("concurrency_limit needs a concurrency_key: name what it limits")
        options["limit"] = _checked_count(job.concurrency_limit, "concurrency_limit", 1, MOST_PLACES)
    if job.rate_key is not None:
        options["rate"] = check_flow_key(job.rate_key, "rate_key")
    if job.rate_units:
        if job.rate_key is None:
            raise InvalidJobError("rate_units needs a rate_key: name whose rate they are booked on")
        options["units"] = _checked_count(job.rate_units, "rate_units", 0, MOST_UNITS)
    return options


def _unique_options(job: Job, check_duration: Callable[[object, str], float]) -> dict[str, Any]:
    if job.unique_key is None:
        return {}
    if job.unique_policy not in get_args(UniquePolicy):
        raise InvalidJobError(
            f"unique_policy must be one of {', '.join(get_args(UniquePolicy))}, got {job.unique_policy!r}"
        )
    options: dict[str, Any] = {
        "unique": check_flow_key(job.unique_key, "unique_key"),
        "policy": job.unique_policy,
    }
    window_seconds = check_duration(job.unique_window_seconds, "unique_window_seconds")
    if window_seconds:
        options["window"] = round(window_seconds * 1000)
    return options


def _kin_options(job: Job) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if job.parents:
        if job.on_parent_failure not in get_args(ParentPolicy):
            raise InvalidJobError(
                f"on_parent_failure must be one of {', '.join(get_args(ParentPolicy))}, "
                f"got {job.on_parent_failure!r}"
            )
        options["parents"] = _checked_ids(job, job.parents, "parents")
        options["on_failure"] = job.on_parent_failure
    if job.joins:
        options["joins"] = _checked_ids(job, job.joins, "joins")
        if both := set(job.joins) & set(job.parents):
            raise InvalidJobError(f"job {job.id} cannot wait for {min(both)} and be waited for by it")
    return options


def _checked_ids(job: Job, ids: object, what: str) -> list[str]:
    if not isinstance(ids, list | tuple) or len(ids) > MOST_PARENTS:
        raise InvalidJobError(
            f"{what} must be a list of at most {MOST_PARENTS:,} job ids, got {type(ids).__name__}"
        )
    checked = [check_parent(each) for each in dict.fromkeys(ids)]
    if job.id in checked:
        raise InvalidJobError(f"job {job.id} cannot stand among its own {what}")
    return checked


def _checked_count(value: object, what: str, least: int, most: int) -> int:
    if type(value) is int and least <= value <= most:
        return value
    raise InvalidJobError(f"{what} must be an integer from {least} to {most:,}, got {value!r}")


def _checked_time(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
        return float(value)
    raise InvalidJobError(f"expires_at must be seconds since the epoch, got {value!r}")
