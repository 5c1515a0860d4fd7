"""Every error Penstock raises on purpose, drawn as a tree.

PenstockError
├── ConfigurationError            a setting is wrong                       (also ValueError)
│   ├── InvalidNameError          a queue, job or worker may not be called so
│   └── InvalidScheduleError      a schedule's expression, zone or options cannot be kept
├── InvalidJobError               a job cannot be accepted                 (also ValueError)
│   ├── PayloadNotSerializableError   it is not JSON                        (also TypeError)
│   ├── PayloadTooLargeError      its JSON is above the limit
│   ├── TaskArgumentError         its arguments do not fit the task           (also TypeError)
│   ├── NewerFormatError          it was stored by a newer version of Penstock
│   ├── MissingParentError        it waits for a job that is not kept
│   └── EgressRefusedError        its webhook would go where webhooks may not go
├── DuplicateJobError             a live job holds the same unique key
├── JobNotFoundError              no queue keeps a job of this id           (also LookupError)
├── DeadLetterError               a dead letter cannot be put back or discarded
├── ScheduleNotFoundError         a queue has no schedule of this name      (also LookupError)
├── JobFailedError                the job whose result is awaited failed
├── JobCancelledError             the job whose result is awaited was cancelled
├── DurabilityError               the server cannot promise that a job is on disk
│   └── NotYetDurableError        it was not seen on disk in time; repeat it
├── QueueUnavailableError         the server does not answer; try again    (also ConnectionError)
│   └── EventsBacklogError        history lags behind: recorded jobs are refused until it catches up
├── HistoryUnavailableError       PostgreSQL does not answer; try again    (also ConnectionError)
├── StoreError                    the server refused a command, and waiting will not cure it
│   └── UnwritableFactError       PostgreSQL cannot keep a value that history holds
├── UnsafeServerError             the server would lose jobs, or is too old
├── EmbeddedServerError           the embedded server cannot be started
├── ModelUnavailableError         a model's provider failed; try again      (also ConnectionError)
├── ModelRefusedError             a model's provider refused the request   (also ValueError)
├── GoalFailedError               an agent cannot reach its goal           (also ValueError)
├── LeaseLostError                this worker may no longer write for the job
├── IdleTimeoutError              a handler gave no sign of life; try again (also TimeoutError)
├── SignalTimeoutError            a signal did not come within its time
├── StepError                     a durable step cannot be taken
│   ├── StepMismatchError         a stored step was made from other inputs
│   ├── StepRepeatedError         one attempt used a step's name twice
│   └── StepLimitError            too many steps, or one too large
├── HandlerError                  a handler broke its side of the contract
│   ├── UnknownJobTypeError       no handler here is called for this type
│   ├── FeedFullError             a job's live feed has reached its limit
│   └── ResultNotSerializableError    a handler returned what is not JSON
├── WebhookError                  a webhook could not be delivered
│   ├── DeliveryFailedError       the receiver did not take it now; try again  (also ConnectionError)
│   └── DeliveryRejectedError     the receiver will not take it               (also ValueError)
├── RetryLater                    raised by handlers: try again after that many seconds
└── WorkerError                   a worker cannot go on
    ├── DependencyError           a dependency of the worker cannot be made
    ├── WorkerSupersededError     a newer process took this worker id
    └── HeartbeatError            the heartbeat process cannot be kept alive
"""

from __future__ import annotations

from typing import Any


class PenstockError(Exception):
    """Base of every error that Penstock raises on purpose."""


class ConfigurationError(PenstockError, ValueError):
    """A setting is missing, unknown or out of range; the message says what was expected."""


class InvalidNameError(ConfigurationError):
    """A queue, job, worker or step name uses characters or a length that are not allowed."""


class InvalidScheduleError(ConfigurationError):
    """A schedule cannot be kept as it is: its cron expression, its time zone or an option is wrong."""


class InvalidJobError(PenstockError, ValueError):
    """A job cannot be accepted as it is; nothing was written."""


class PayloadNotSerializableError(InvalidJobError, TypeError):
    """A payload or its metadata is not JSON; the message names the offending value."""


class PayloadTooLargeError(InvalidJobError):
    """A payload's JSON is above the limit of 1 MiB."""


class TaskArgumentError(InvalidJobError, TypeError):
    """The arguments of a task do not fit its signature; the message names them. Never tried again."""


class NewerFormatError(InvalidJobError):
    """A stored job has a format that this version cannot read; a newer worker can."""


class MissingParentError(InvalidJobError):
    """A job was to wait for another one that is not kept; nothing was written."""


class DuplicateJobError(PenstockError):
    """A live job holds the same ``unique_key``, and the policy is to reject; nothing was written."""

    def __init__(self, message: str, holder_id: str) -> None:
        """``holder_id`` is the job that holds the key."""
        super().__init__(message)
        self.holder_id = holder_id


class JobNotFoundError(PenstockError, LookupError):
    """No queue in reach keeps a job of this id: it never was, or its retention is over."""


class DeadLetterError(PenstockError):
    """A dead letter cannot be put back or discarded as things stand; the message says why."""


class ScheduleNotFoundError(PenstockError, LookupError):
    """A queue has no schedule of this name: it was never put there, or has been removed."""


class JobFailedError(PenstockError):
    """The job whose result is awaited failed for good; the message has its error."""

    def __init__(self, message: str, job: Any) -> None:
        """``job`` is the ``Job`` as it ended."""
        super().__init__(message)
        self.job = job


class JobCancelledError(PenstockError):
    """The job whose result is awaited was cancelled."""


class DurabilityError(PenstockError):
    """The server cannot promise that a job is on disk, and says why; nothing was written."""


class NotYetDurableError(DurabilityError):
    """The job was not seen on disk in time: it may be kept or not, and repeating the call is safe."""


class EgressRefusedError(InvalidJobError):
    """A URL is not one that webhooks may be sent to; the message says why. Never tried again."""


class QueueUnavailableError(PenstockError, ConnectionError):
    """The server cannot be reached or cannot take commands now.

    Whether the last command took effect is unknown; repeating it is safe: enqueueing is
    idempotent by job id, and an outcome is settled once.
    """


class EventsBacklogError(QueueUnavailableError):
    """The events stream is at its cap because history lags; recorded jobs are refused meanwhile."""


class HistoryUnavailableError(PenstockError, ConnectionError):
    """PostgreSQL, which keeps the history of runs, cannot be reached or cannot take commands now."""


class StoreError(PenstockError):
    """The server refused a command for a reason that waiting does not cure; the message has it."""


class UnwritableFactError(StoreError):
    """PostgreSQL cannot keep a value; the fact that holds it is set aside, the others are written."""


class UnsafeServerError(PenstockError):
    """The server's settings or version would break a promise, so Penstock refuses to use it."""


class EmbeddedServerError(PenstockError):
    """The embedded server cannot be found, started or stopped."""


class ModelUnavailableError(PenstockError, ConnectionError):
    """A model's provider is overloaded, failed or answered nonsense; the same request may work later."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        """``retry_after`` is the wait in seconds that the provider asked for, if it did."""
        super().__init__(message)
        self.retry_after = retry_after


class ModelRefusedError(PenstockError, ValueError):
    """A model's provider refused the request, and would refuse it again: a key, a name, the request."""


class GoalFailedError(PenstockError, ValueError):
    """An agent cannot reach its goal; the message says why. Trying again would end the same way."""


class LeaseLostError(PenstockError):
    """The job was given to another worker, cancelled or removed; this attempt must stop."""


class IdleTimeoutError(PenstockError, TimeoutError):
    """A handler reported no progress, event, step or usage for its ``idle_timeout_seconds``."""


class SignalTimeoutError(PenstockError):
    """A signal did not come in time. Not retried: the job would find the same deadline passed."""


class StepError(PenstockError, ValueError):
    """A durable step cannot be taken. Not retried: the same code would fail the same way."""


class StepMismatchError(StepError):
    """A finished step stored under this name was made from other inputs."""

    def __init__(self, message: str, step: str | None = None) -> None:
        """``step`` is the name of the step."""
        super().__init__(message)
        self.step = step


class StepRepeatedError(StepError):
    """The same step name was used twice within one attempt."""


class StepLimitError(StepError):
    """A job stored more steps, or a larger step, than the limits allow."""


class HandlerError(PenstockError):
    """A handler broke its side of the contract."""


class UnknownJobTypeError(HandlerError):
    """No handler of this worker is registered for the job's type."""


class FeedFullError(HandlerError):
    """A job emitted more events than its live feed keeps: 10,000. None is dropped for a later one."""


class ResultNotSerializableError(HandlerError, TypeError):
    """A handler returned a value that is not JSON, or one above the limit."""


class WebhookError(PenstockError):
    """A webhook could not be delivered; the message names the receiver's host, never the whole URL."""


class DeliveryFailedError(WebhookError, ConnectionError):
    """The receiver did not answer, or asked for a later try."""

    def __init__(self, message: str, retry_after: float | str) -> None:
        """``retry_after`` is the wait in seconds, or a ``Retry-After`` header as it came."""
        super().__init__(message)
        self.retry_after = retry_after


class DeliveryRejectedError(WebhookError, ValueError):
    """The receiver answered that it does not want this delivery. Never tried again."""


class RetryLater(PenstockError):  # noqa: N818 - a request, raised by handlers, rather than a fault
    """Raised by a handler that wants its job tried again after ``retry_after`` seconds."""

    def __init__(self, retry_after: float, message: str = "the handler asked for a later try") -> None:
        """``retry_after`` is the wait in seconds; it is kept as given, above any policy's cap."""
        super().__init__(message)
        self.retry_after = retry_after


class WorkerError(PenstockError):
    """A worker cannot go on; its jobs were released or will be reclaimed by others."""


class DependencyError(WorkerError):
    """A dependency with ``scope="worker"`` could not be made, so the worker did not start."""


class WorkerSupersededError(WorkerError):
    """Another process started under the same worker id; this older one stopped."""


class HeartbeatError(WorkerError):
    """The process that renews leases could not be started or died repeatedly."""


#: The first word of server replies that mean "wait and try again" rather than "you are wrong".
#: Cut connections and timeouts belong to the same family, whatever they say.
WAIT_AND_RETRY_CODES = frozenset(
    {
        "BUSY",
        "CLUSTERDOWN",
        "LOADING",
        "MASTERDOWN",
        "MISCONF",
        "NOGROUP",
        "NOREPLICAS",
        "OOM",
        "READONLY",
        "TRYAGAIN",
        "UNBLOCKED",
    }
)


def means_wait(message: str) -> bool:
    """Whether a server's error message asks the client to wait and try again.

    Scripts wrap the code (``ERR Error running script … -OOM …``), so every word counts.
    """
    words = {word.strip("-:,.@'") for word in message.split()}
    return not words.isdisjoint(WAIT_AND_RETRY_CODES)
