"""JSON in and out: the immutable spec of a job, payloads, results and steps."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from penstock.core.compression import expanded
from penstock.core.errors import (
    InvalidJobError,
    NewerFormatError,
    PayloadNotSerializableError,
    PayloadTooLargeError,
    ResultNotSerializableError,
)

SPEC_FORMAT: Final = 1
PAYLOAD_LIMIT_BYTES: Final = 1024 * 1024
INLINE_LIMIT_BYTES: Final = 16 * 1024


class JobSpec(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=False):
    """What a caller asked for, as stored with the job and never changed.

    ``format`` is the version of this layout: a reader refuses a newer one rather than guess.
    Times are seconds since the epoch. ``payload`` is absent when ``payload_apart`` says that it
    lives under its own key.
    """

    format: int = 0
    type: str = "default"
    payload: Any = None
    payload_apart: bool = False
    max_attempts: int = 3
    priority: int = 0
    created_at: float = 0.0
    timeout_seconds: float | None = None
    idle_timeout_seconds: float | None = None
    record: bool = False
    partition_key: str | None = None
    metadata: dict[str, Any] = {}
    trace: dict[str, str] = {}


class _Format(msgspec.Struct):
    format: int = 0


_format_decoder = msgspec.json.Decoder(_Format)
_spec_decoder = msgspec.json.Decoder(JobSpec)
_value_decoder = msgspec.json.Decoder()


def as_json(value: Any) -> Any:
    """What stands in JSON for a value that the encoder does not know: plain text for a job's handle.

    Raises ``TypeError`` for what is no text.
    """
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


_encoder = msgspec.json.Encoder(enc_hook=as_json)


def encode_spec(spec: JobSpec) -> bytes:
    """The spec as JSON; raise ``PayloadNotSerializableError`` naming what is not JSON."""
    try:
        return _encoder.encode(spec)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise PayloadNotSerializableError(
            f"the payload of a {spec.type!r} job is not JSON: {error}; use dicts, lists, strings, "
            "numbers, booleans and None"
        ) from error


def decode_spec(raw: bytes) -> JobSpec:
    """Read a stored spec; raise ``InvalidJobError`` when damaged, ``NewerFormatError`` when newer."""
    try:
        spec = _spec_decoder.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        _refuse_newer(raw)
        raise InvalidJobError(f"the stored spec cannot be read: {error}") from error
    if spec.format != SPEC_FORMAT:
        _refuse_newer(raw)
        raise InvalidJobError("the stored spec names no format")
    return spec


def _refuse_newer(raw: bytes) -> None:
    """Raise ``NewerFormatError`` for a spec of a later layout, whose other fields may mean anything."""
    try:
        found = _format_decoder.decode(raw).format
    except (msgspec.DecodeError, ValueError, RecursionError):
        return
    if found > SPEC_FORMAT:
        raise NewerFormatError(
            f"the stored spec has format {found}, this version of Penstock reads "
            f"format {SPEC_FORMAT}: upgrade this worker"
        )


def encode_payload(payload: Any, what: str = "payload") -> bytes:
    """A payload as JSON; raise ``PayloadNotSerializableError`` or ``PayloadTooLargeError``."""
    try:
        encoded = _encoder.encode(payload)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise PayloadNotSerializableError(f"the {what} is not JSON: {error}") from error
    check_size(len(encoded), what)
    return encoded


def check_size(size_bytes: int, what: str = "payload") -> None:
    """Raise ``PayloadTooLargeError`` when JSON of ``size_bytes`` is above the limit."""
    if size_bytes > PAYLOAD_LIMIT_BYTES:
        raise PayloadTooLargeError(
            f"the {what} is {size_bytes:,} bytes of JSON, the limit is {PAYLOAD_LIMIT_BYTES:,}: "
            "store it elsewhere and pass a reference"
        )


def encode_result(value: Any, what: str = "result") -> bytes:
    """What a handler or step returned, as JSON; raise ``ResultNotSerializableError``."""
    try:
        encoded = _encoder.encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise ResultNotSerializableError(
            f"the {what} is not JSON: {error}; return dicts, lists, strings, numbers, booleans or None"
        ) from error
    if len(encoded) > PAYLOAD_LIMIT_BYTES:
        raise ResultNotSerializableError(
            f"the {what} is {len(encoded):,} bytes of JSON, the limit is {PAYLOAD_LIMIT_BYTES:,}: "
            "store it elsewhere and return a reference"
        )
    return encoded


def decode(raw: bytes | str) -> Any:
    """Read JSON that this package wrote; raise ``InvalidJobError`` when it is damaged."""
    try:
        return _value_decoder.decode(expanded(raw) if isinstance(raw, bytes) else raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InvalidJobError(f"stored JSON cannot be read: {error}") from error
