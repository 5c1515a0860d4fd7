"""Finding a worker's handlers and tasks by name, with messages that help when it fails."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import pkgutil
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from penstock.core.errors import ConfigurationError
from penstock.core.schedule import Schedule
from penstock.tasks.task import Task

_EXPECTED = "expected package.module:name, where name is a mapping of job type to handler, or one handler"


def load_handlers(spec: str) -> Any:
    """Import what `spec` names; modules in the current directory can be named too.

    Whether the object can serve as handlers is for the worker to check.

    Raises:
        ConfigurationError: the spec is malformed, the module is missing or fails to import, or it
            has no such name. The message says which, and what was probably meant.
    """
    module_name, colon, attribute = spec.partition(":")
    if not (colon and attribute and _is_module_name(module_name)):
        raise ConfigurationError(f"--handlers {spec!r} is malformed: {_EXPECTED}")
    given = f"--handlers {spec!r}"
    return _look_up(_import(module_name, given), attribute, given)


def load_tasks(modules: Sequence[str]) -> list[Task[..., Any]]:
    """All tasks that stand in `modules`, imported ones included, each once.

    Raises:
        ConfigurationError: a module is missing, fails to import or has no task.
    """
    found: dict[int, Task[..., Any]] = {}
    for name in modules:
        given = f"--tasks {name!r}"
        if not _is_module_name(name):
            raise ConfigurationError(f"{given} is malformed: expected a module, as in package.module")
        tasks = [value for value in vars(_import(name, given)).values() if isinstance(value, Task)]
        if not tasks:
            raise ConfigurationError(f"{given}: there is no task in it; decorate functions with @task")
        found |= {id(task): task for task in tasks}
    return list(found.values())


def load_schedules(modules: Sequence[str]) -> list[Schedule]:
    """All schedules that stand in `modules`, which `load_tasks` found to be sound, each once."""
    values = (value for name in modules for value in vars(importlib.import_module(name)).values())
    return list({id(value): value for value in values if isinstance(value, Schedule)}.values())


def _is_module_name(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _import(module_name: str, given: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    missing = _first_missing_part(module_name, given)
    if missing is not None:
        raise ConfigurationError(
            f"{given}: there is no module {missing!r}"
            f"{_suggestion(missing, _modules_beside(missing))}. Modules are looked for in the current "
            "directory and among the installed packages"
        )
    try:
        return importlib.import_module(module_name)
    except Exception as error:
        raise _import_failed(module_name, given, error) from error


def _first_missing_part(module_name: str, given: str) -> str | None:
    parts = module_name.split(".")
    for count in range(1, len(parts) + 1):
        name = ".".join(parts[:count])
        try:
            found = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            return name
        except Exception as error:
            # Looking for a submodule imports the package around it.
            raise _import_failed(".".join(parts[: count - 1]), given, error) from error
        if found is None:
            return name
    return None


def _import_failed(module_name: str, given: str, error: Exception) -> ConfigurationError:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "importlib" not in frame.filename]
    place = f" (line {own[-1].lineno} of {own[-1].filename})" if own else ""
    if isinstance(error, SyntaxError) and error.filename:
        place = f" (line {error.lineno} of {error.filename})"
    return ConfigurationError(
        f"{given}: importing {module_name!r} failed with {type(error).__name__}: {error}{place}"
    )


def _look_up(module: ModuleType, attribute: str, given: str) -> Any:
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            public = [name for name in dir(found) if not name.startswith("_")]
            raise ConfigurationError(
                f"{given}: {module.__name__!r} has no {attribute!r}{_suggestion(part, public)}"
            )
        found = getattr(found, part)
    return found


def _modules_beside(module_name: str) -> list[str]:
    """The dotted names of all modules next to where `module_name` was looked for."""
    package, _, _ = module_name.rpartition(".")
    if not package:
        search = [path or os.curdir for path in sys.path if path.endswith("packages") or path == sys.path[0]]
        return [info.name for info in pkgutil.iter_modules(search)]
    paths = getattr(sys.modules.get(package), "__path__", [])
    return [f"{package}.{info.name}" for info in pkgutil.iter_modules(paths)]


def _suggestion(wrong: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(wrong, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
