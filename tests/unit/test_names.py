"""What things may be called."""

from collections.abc import Callable
from uuid import UUID

import pytest

from penstock.core.errors import InvalidNameError
from penstock.core.names import (
    check_job_id,
    check_job_type,
    check_queue_name,
    check_step_name,
    check_worker_id,
    new_job_id,
    new_nonce,
)

ALLOWED: list[tuple[Callable[[object], str], str]] = [
    (check_queue_name, "a"),
    (check_queue_name, "debates.eu-1:A_b"),
    (check_queue_name, "x" * 64),
    (check_job_id, "cron:nightly:2024-01-01T00.00"),
    (check_job_id, "x" * 200),
    (check_worker_id, "host.example-1_a"),
    (check_worker_id, "x" * 128),
    (check_job_type, "webhooks/delivery:v2"),
    (check_step_name, "round 3: critique (ü)"),
    (check_step_name, "x" * 200),
]
REFUSED: list[tuple[Callable[[object], str], object, str]] = [
    (check_queue_name, "", "queue name '' is not allowed: expected 1 to 64 of A-Z a-z 0-9 _ . : -"),
    (check_queue_name, "x" * 65, "1 to 64"),
    (check_queue_name, "a{b}", "queue name"),
    (check_queue_name, "a#1", "queue name"),
    (check_queue_name, "a\n", "queue name"),
    (check_queue_name, "ä", "queue name"),
    (check_queue_name, None, "queue name None"),
    (check_job_id, "x" * 201, "1 to 200"),
    (check_job_id, "a b", "job id 'a b'"),
    (check_job_id, "a*", "job id"),
    (check_job_id, 5, "job id 5"),
    (check_job_id, b"bytes", "job id"),
    (check_worker_id, "w:1", "worker id 'w:1' is not allowed: expected 1 to 128"),
    (check_worker_id, "x" * 129, "worker id"),
    (check_job_type, "a b", "job type"),
    (check_step_name, "", "step name"),
    (check_step_name, "a\nb", "step name"),
    (check_step_name, "x" * 201, "printable"),
    (check_step_name, 3, "step name 3"),
]


@pytest.mark.parametrize(("check", "name"), ALLOWED)
def test_allowed(check: Callable[[object], str], name: str) -> None:
    assert check(name) == name


@pytest.mark.parametrize(("check", "name", "message"), REFUSED)
def test_refused(check: Callable[[object], str], name: object, message: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        check(name)
    assert message in str(caught.value)


def test_fresh_names_do_not_repeat() -> None:
    ids = {new_job_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {UUID(job_id).version for job_id in ids} == {4}
    nonces = {new_nonce() for _ in range(1000)}
    assert len(nonces) == 1000
    assert {len(nonce) for nonce in nonces} == {16}
