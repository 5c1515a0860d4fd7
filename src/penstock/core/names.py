"""What a queue, job, worker, step or type may be called, and how fresh names are made."""

from __future__ import annotations

import os
import re

from penstock.core.errors import InvalidNameError

QUEUE_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
JOB_ID = re.compile(r"[A-Za-z0-9_.:-]{1,200}")
WORKER_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")
JOB_TYPE = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
FLOW_KEY = re.compile(r"[A-Za-z0-9_.:/@+=-]{1,200}")
PARENT = re.compile(r"([A-Za-z0-9_.:-]{1,64}/)?[A-Za-z0-9_.:-]{1,200}")
STEP_NAME_MAX_LENGTH = 200
SIGNAL_NAME_MAX_LENGTH = 150
_RESUME = "suspend:"


def check_queue_name(name: object) -> str:
    """Return ``name`` if a queue may be called so; raise ``InvalidNameError`` otherwise."""
    return _check(name, QUEUE_NAME, "queue name", "1 to 64 of A-Z a-z 0-9 _ . : -")


def check_job_id(job_id: object) -> str:
    """Return ``job_id`` if a job may be called so; raise ``InvalidNameError`` otherwise."""
    return _check(job_id, JOB_ID, "job id", "1 to 200 of A-Z a-z 0-9 _ . : -")


def check_worker_id(worker_id: object) -> str:
    """Return ``worker_id`` if a worker may be called so; raise ``InvalidNameError`` otherwise."""
    return _check(worker_id, WORKER_ID, "worker id", "1 to 128 of A-Z a-z 0-9 _ . -")


def check_job_type(job_type: object) -> str:
    """Return ``job_type`` if a type may be called so; raise ``InvalidNameError`` otherwise."""
    return _check(job_type, JOB_TYPE, "job type", "1 to 128 of A-Z a-z 0-9 _ . : / -")


def check_flow_key(key: object, what: str) -> str:
    """Return ``key`` if a key of flow control may be called so; raise ``InvalidNameError`` otherwise."""
    return _check(key, FLOW_KEY, what, "1 to 200 of A-Z a-z 0-9 _ . : / @ + = -")


def check_parent(reference: object) -> str:
    """Return ``reference`` if it names a job, here (``id``) or on another queue (``queue/id``)."""
    return _check(reference, PARENT, "job", "an id, or queue/id for a job on another queue")


def check_step_name(name: object) -> str:
    """Return ``name`` if a step may be called so: 1 to 200 printable characters."""
    if isinstance(name, str) and 1 <= len(name) <= STEP_NAME_MAX_LENGTH and name.isprintable():
        return name
    raise InvalidNameError(
        f"step name {name!r} is not allowed: expected 1 to {STEP_NAME_MAX_LENGTH} printable characters"
    )


def check_signal_name(name: object) -> str:
    """Return ``name`` if a signal may be called so; raise ``InvalidNameError`` otherwise."""
    is_text = isinstance(name, str) and 1 <= len(name) <= SIGNAL_NAME_MAX_LENGTH and name.isprintable()
    if isinstance(name, str) and is_text and "#" not in name and not name.startswith(_RESUME):
        return name
    raise InvalidNameError(
        f"signal name {name!r} is not allowed: expected 1 to {SIGNAL_NAME_MAX_LENGTH} printable characters "
        f"without '#', not beginning with {_RESUME!r}"
    )


def resume_signal(number: int) -> str:
    """The signal that resumes a job from the ``number``-th call of ``ctx.suspend``, counted from 1.

    Each call has a signal of its own, so that resuming twice does not also answer the next call.
    """
    return f"{_RESUME}{number}"


def is_resume_signal(name: str) -> bool:
    """Whether a job that awaits ``name`` was suspended by ``ctx.suspend``."""
    return name.startswith(_RESUME)


def new_job_id() -> str:
    """A fresh random job id: a version 4 UUID in its usual form."""
    digits = os.urandom(16).hex()
    # Put together by hand: an object for it would take as long as the rest of making a job.
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def new_nonce() -> str:
    """Sixteen random hexadecimal characters: enough that no two calls ever share them."""
    return os.urandom(8).hex()


def _check(name: object, pattern: re.Pattern[str], noun: str, expected: str) -> str:
    if isinstance(name, str) and pattern.fullmatch(name):
        return name
    raise InvalidNameError(f"{noun} {name!r} is not allowed: expected {expected}")
