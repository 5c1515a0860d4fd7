"""JSON in and out, with limits and a format version."""

from typing import Any

import pytest

from penstock.core.codec import (
    PAYLOAD_LIMIT_BYTES,
    SPEC_FORMAT,
    JobSpec,
    decode,
    decode_spec,
    encode_payload,
    encode_result,
    encode_spec,
)
from penstock.core.errors import (
    InvalidJobError,
    NewerFormatError,
    PayloadNotSerializableError,
    PayloadTooLargeError,
    ResultNotSerializableError,
)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_a_spec_comes_back_as_it_was() -> None:
    spec = JobSpec(
        format=SPEC_FORMAT,
        type="t",
        payload={"a": [1, None, "ü"]},
        max_attempts=5,
        priority=-1,
        created_at=12.5,
        timeout_seconds=3.0,
        record=True,
        partition_key="k",
        metadata={"m": 1},
        trace={"traceparent": "00"},
    )
    assert decode_spec(encode_spec(spec)) == spec


def test_defaults_take_no_room() -> None:
    assert encode_spec(JobSpec(format=1)) == b'{"format":1}'


def test_fields_of_later_versions_are_ignored() -> None:
    assert decode_spec(b'{"format":1,"type":"t","colour":"red"}').type == "t"


@pytest.mark.parametrize("raw", [b'{"format":2}', b'{"format":2,"type":{"no":"longer a string"}}'])
def test_a_newer_format_is_refused_with_what_to_do(raw: bytes) -> None:
    with pytest.raises(NewerFormatError, match=r"has format 2, this version .* format 1: upgrade"):
        decode_spec(raw)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b"{}", b'{"format":0}', b'{"format":1,"type":5}', b"\xff", b"[" * 100_000],
)
def test_a_damaged_spec_is_said_to_be(raw: bytes) -> None:
    with pytest.raises(InvalidJobError, match="the stored spec"):
        decode_spec(raw)


@pytest.mark.parametrize("value", [object(), {1, object()}, "\ud800", lambda: 1, nested(100_000), 1j])
def test_what_is_not_json_is_refused(value: Any) -> None:
    with pytest.raises(PayloadNotSerializableError, match="the payload is not JSON"):
        encode_payload(value)
    with pytest.raises(PayloadNotSerializableError, match="the payload of a 'default' job is not JSON"):
        encode_spec(JobSpec(payload=value))
    with pytest.raises(ResultNotSerializableError, match="the result is not JSON"):
        encode_result(value)


def test_the_limit_is_on_the_byte() -> None:
    exact = "x" * (PAYLOAD_LIMIT_BYTES - 2)
    assert len(encode_payload(exact)) == PAYLOAD_LIMIT_BYTES
    assert len(encode_result(exact)) == PAYLOAD_LIMIT_BYTES
    with pytest.raises(PayloadTooLargeError, match=r"1,048,577 bytes of JSON, the limit is 1,048,576: store"):
        encode_payload(exact + "x")
    with pytest.raises(ResultNotSerializableError, match="store it elsewhere and return a reference"):
        encode_result(exact + "x")


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", "nope", b"[" * 100_000])
def test_damaged_json_is_said_to_be(raw: bytes | str) -> None:
    with pytest.raises(InvalidJobError, match="stored JSON cannot be read"):
        decode(raw)


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "ü", [], {}, {"a": [1, {"b": None}]}, 2**63])
def test_values_come_back(value: Any) -> None:
    assert decode(encode_payload(value)) == value
    assert decode(encode_result(value)) == value
