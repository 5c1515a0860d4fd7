"""Guards of the roles of a worker and of the connections."""

from tests.mutants.mutant import STORE, WORKER, Mutant

LEASES, OUTAGE = "acceptance/test_guarantees_leases.py", "acceptance/test_guarantees_outage.py"
REPLIES, SHUTDOWN = "acceptance/test_guarantees_replies.py", "acceptance/test_guarantees_shutdown.py"
POISON = "acceptance/test_guarantees_poison.py"
HEARTBEAT, LIFECYCLE = "worker/test_heartbeat.py", "worker/test_lifecycle.py"
CANCELLATION, RETRIES = "worker/test_cancellation.py", "worker/test_retries.py"
DISTURBANCES, LOAD = "worker/test_disturbances.py", "worker/test_load.py"


def _worker(guard: str, change: str, file: str, text: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(guard, change, WORKER + file, text, replacement, killers)


def _store(guard: str, change: str, file: str, text: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(guard, change, STORE + file, text, replacement, killers)


MUTANTS = (
    # fmt: off
    _worker(
        "a zombie is told, and stopped",
        "not stopped",
        "heartbeat.py",
        'if self._holdings.stop(job_id, "lost", lease):',
        "if False:",
        LEASES,
    ),
    _worker(
        "a lost attempt writes nothing",
        "its outcome is sent",
        "attempt.py",
        '    if holding.stopping == "lost":\n        return None\n    if holding.stopping is not None and',
        "    if holding.stopping is not None and",
        LEASES,
        "worker/test_steps.py",
    ),
    _worker(
        "a beat brings a cancellation",
        "not heard",
        "heartbeat.py",
        'if self._holdings.stop(job_id, "cancel", lease):',
        "if False:",
        CANCELLATION,
        "worker/test_cancel_every_state.py",
    ),
    _worker(
        "the board is written before a handler runs",
        "written later",
        "worker.py",
        "        self._heartbeat.post()\n        create_task",
        "        create_task",
        LEASES,
        HEARTBEAT,
    ),
    _worker(
        "a stalled loop lets its jobs go",
        "never noticed",
        "beat_process.py",
        "        elif os.getppid() == self._parent:\n            self._let_all_go(is_gil_held)\n",
        "",
        HEARTBEAT,
    ),
    _worker(
        "only the attempt on the stack is blamed",
        "all are",
        "beat_process.py",
        "return [held for held in leases if held.serial == serial or (is_gil_held and held.in_thread)]",
        "return list(leases)",
        HEARTBEAT,
    ),
    _worker(
        "a frozen machine is no stall",
        "the gap counts",
        "beat_process.py",
        "gap = min(now - self._looked_at, self._longest_gap_seconds)",
        "gap = now - self._looked_at",
        HEARTBEAT,
    ),
    _worker(
        "the heartbeat ends with its worker",
        "by the pipe alone",
        "beat_process.py",
        "while os.getppid() == self._parent:",
        "while True:",
        LEASES,
    ),
    _worker(
        "a killed heartbeat is started anew",
        "left dead",
        "heartbeat.py",
        "is_alive = await self._revive()",
        "is_alive = False",
        HEARTBEAT,
    ),
    _worker(
        "a worker whose heartbeat keeps dying stops",
        "goes on",
        "heartbeat.py",
        "if len(self._deaths) == MOST_DEATHS_A_MINUTE and",
        "if False and",
        HEARTBEAT,
    ),
    _worker(
        "the older of two processes with one id stops",
        "goes on",
        "heartbeat.py",
        'if told.get("superseded"):',
        "if False:",
        HEARTBEAT,
    ),
    _worker(
        "outcomes are kept while the server is away",
        "dropped",
        "group_commit.py",
        "                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)\n                continue\n",
        "                return\n",
        OUTAGE,
        DISTURBANCES,
    ),
    _worker(
        "a claim is repeated under its request id",
        "under a new one",
        "fetcher.py",
        "return await self._engine.claim(self._consumer, request_id, count, suspect_seats=seats)",
        "return await self._engine.claim(self._consumer, new_nonce(), count, suspect_seats=seats)",
        REPLIES,
    ),
    _worker(
        "a stop gives back what an unanswered claim took",
        "left to its lease",
        "fetcher.py",
        "return await self._ask_once_more(request_id)",
        "return None",
        REPLIES,
    ),
    _worker(
        "a worker runs one suspect at a time",
        "any number",
        "fetcher.py",
        "seats = 0 if self._holdings.suspects else 1",
        "seats = 64",
        POISON,
    ),
    _worker(
        "an outage while a payload is read is waited out",
        "fails the attempt",
        "attempt.py",
        'await patiently(lambda: room.engine.load_payload(claimed.id), f"payload of {claimed.id}")',
        "await room.engine.load_payload(claimed.id)",
        RETRIES,
    ),
    _worker(
        "an unknown type goes back unspent",
        "fails",
        "attempt.py",
        "if room.reporter.now_seconds() - spec.created_at < UNKNOWN_TYPE_GRACE_SECONDS:",
        "if False:",
        RETRIES,
    ),
    _worker(
        "whatever a handler raises ends its attempt only",
        "ends the worker",
        "attempt.py",
        "    except BaseException as error:\n        # Also SystemExit",
        "    except Exception as error:\n        # Also SystemExit",
        "worker/test_handlers.py",
    ),
    _worker(
        "shutdown releases what is left",
        "left to the lease",
        "worker.py",
        'self._holdings.stop_all("release")',
        "pass",
        SHUTDOWN,
    ),
    _worker(
        "shutdown settles the last outcomes",
        "left behind",
        "worker.py",
        "await self._settler.drain(LAST_SETTLE_SECONDS)",
        "pass",
        SHUTDOWN,
        LIFECYCLE,
    ),
    _worker(
        "a second signal releases at once",
        "waits",
        "worker.py",
        "        if self._stopping:\n            self._hurry.set()\n",
        "        if self._stopping:\n            pass\n",
        SHUTDOWN,
    ),
    _worker(
        "one settle is in flight, the rest is gathered",
        "one each",
        "group_commit.py",
        "for _ in range(min(BATCH, len(self._waiting)))]",
        "for _ in range(1)]",
        LOAD,
    ),
    _worker(
        "a finished step is not run again",
        "run again",
        "steps.py",
        "        if found is not None:\n            return found\n",
        "",
        "worker/test_steps.py",
    ),
    _worker(
        "cancelled is said when the handler has stopped",
        "said at once",
        "attempt.py",
        'if holding.stopping == "cancel" and context.has_seen_cancellation:',
        'if holding.stopping == "cancel":',
        CANCELLATION,
    ),
    _store(
        "clients never resend by themselves",
        "the library resends",
        "connect.py",
        "client = Redis.from_url(url, **options, retry=AsyncRetry(NoBackoff(), 0))",
        "client = Redis.from_url(url, **options, retry=AsyncRetry(NoBackoff(), 3))",
        "store/test_lost_replies.py",
    ),
    _store(
        "a server that evicts is refused",
        "accepted",
        "connect.py",
        'if policy != "noeviction":',
        "if False:",
        "store/test_servers.py",
    ),
    _store(
        "a server that is too old is refused",
        "accepted",
        "connect.py",
        'if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_SERVER and',
        "if False and",
        "store/test_servers.py",
    ),
    _store(
        "replies that mean wait do not mean wrong",
        "taken for wrong",
        "connect.py",
        "if means_wait(str(error)) or means_wait(_code_of(error)):",
        "if False:",
        "store/test_servers.py",
    ),
    _store(
        "a dequeue is repeated under its request id",
        "under a new one",
        "holding_queue.py",
        "request = self._requests.setdefault(place, new_nonce())",
        "request = new_nonce()",
        "store/test_lost_replies.py",
    ),
    _store(
        "settling needs the lease of this object",
        "any lease",
        "holding_queue.py",
        "        if held is None:\n            return False\n        engine, lease, _ = held",
        "        engine, lease, _ = held or (self.engine, '', None)",
        "store/test_verbs.py",
    ),
    # fmt: on
)
