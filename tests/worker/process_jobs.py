"""Functions that tests run in processes: in a module of their own, which is quick to import there."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any


def in_a_process(payload: dict[str, Any]) -> dict[str, Any]:
    return {"pid": os.getpid(), "given": payload}


def waits_in_a_process(payload: dict[str, str]) -> None:
    Path(payload["began"]).write_text(str(os.getpid()))
    time.sleep(600)


def raises_in_a_process(_: Any) -> None:
    raise ValueError("from afar")


def raises_the_unspeakable(_: Any) -> None:
    class LocalError(Exception):
        pass

    raise LocalError("cannot be pickled")


def returns_the_unspeakable(_: Any) -> Any:
    return threading.Lock()


def dies_in_a_process(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def exits_in_a_process(_: Any) -> None:
    os._exit(3)
