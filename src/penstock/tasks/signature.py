"""The signature of a task: which arguments travel, and their way through JSON and back."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, get_type_hints

import msgspec

from penstock.core.codec import decode
from penstock.core.errors import ConfigurationError, ResultNotSerializableError, TaskArgumentError
from penstock.tasks.markers import ContextWanted, Dependency

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

_RESULT: Final = "result"
_PLAIN: Final = frozenset({type(None), bool, int, str})
_NAMED_KINDS: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

_encoder = msgspec.json.Encoder()


class TaskSignature:
    """What callers of a task give, what the worker provides, and how both sides check it.

    Annotations are read at the first use, so that they may name what is defined further down.
    """

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        """Read the parameters; raises ``ConfigurationError`` for one that cannot be given by name."""
        self._function = function
        self._name = name
        self._signature = inspect.signature(function)
        self._returns = self._signature.return_annotation
        self.given: dict[str, inspect.Parameter] = {}
        self.provided: dict[str, Dependency | ContextWanted] = {}
        for parameter in self._signature.parameters.values():
            if parameter.kind not in _NAMED_KINDS:
                raise ConfigurationError(
                    f"task {name!r}: the parameter {str(parameter)!r} has no name to be stored under; "
                    "arguments travel by name, so *args, **kwargs and positional-only ones cannot be used"
                )
            if isinstance(parameter.default, Dependency | ContextWanted):
                self.provided[parameter.name] = parameter.default
            else:
                self.given[parameter.name] = parameter

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name; raises ``TaskArgumentError`` when they do not fit."""
        try:
            bound = self._signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TaskArgumentError(f"task {self._name!r}: {error}; {self._expected}") from None
        for name in bound:
            if name in self.provided:
                raise TaskArgumentError(
                    f"task {self._name!r}: {name!r} is provided by the worker and cannot be given; "
                    f"{self._expected}"
                )
        return bound

    def to_payload(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments as JSON values by name; raises ``TaskArgumentError`` naming the wrong one."""
        model = self._model
        try:
            checked = model.model_validate(dict(arguments))
        except ValueError as error:
            raise self._misfit(error) from None
        try:
            raw = checked.model_dump_json(by_alias=True, include=checked.model_fields_set, warnings=False)
        except ValueError as error:
            raise TaskArgumentError(
                f"task {self._name!r}: the arguments are not JSON: {error}; {self._expected}"
            ) from None
        payload: dict[str, Any] = decode(raw)
        return payload

    def from_payload(self, payload: Any) -> dict[str, Any]:
        """What ``to_payload`` made, as arguments of the annotated types.

        Raises ``TaskArgumentError`` naming what does not fit: the job was enqueued by hand or by
        another version of the task.
        """
        try:
            checked = self._model.model_validate_json(_encoder.encode(payload))
        except ValueError as error:
            raise self._misfit(error) from None
        names = self._names
        return {names[field]: getattr(checked, field) for field in checked.model_fields_set}

    def with_defaults(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """``arguments`` and the defaults of those that were left out."""
        defaults = {
            name: parameter.default
            for name, parameter in self.given.items()
            if parameter.default is not parameter.empty
        }
        return {**defaults, **arguments}

    def to_result(self, value: Any) -> Any:
        """What the function returned as JSON values; raises ``ResultNotSerializableError``."""
        if type(value) in _PLAIN:
            return value
        try:
            model = self._result_model.model_construct(result=value)
            return decode(model.model_dump_json(warnings=False))[_RESULT]
        except ValueError as error:
            raise ResultNotSerializableError(
                f"task {self._name!r}: the result is not JSON: {error}; "
                "return values that pydantic can write as JSON"
            ) from None

    def from_result(self, value: Any) -> Any:
        """A stored result as the annotated type; raises ``TaskArgumentError`` when it does not fit."""
        try:
            checked: Any = self._result_model.model_validate_json(_encoder.encode({_RESULT: value}))
        except ValueError as error:
            raise TaskArgumentError(
                f"task {self._name!r}: the stored result is not a "
                f"{inspect.formatannotation(self._returns)}: {_first(error)}"
            ) from None
        return checked.result

    @property
    def _expected(self) -> str:
        parameters = ", ".join(str(parameter) for parameter in self.given.values())
        return f"it takes ({parameters})"

    @cached_property
    def _names(self) -> dict[str, str]:
        # Fields are numbered: an argument may be called as a pydantic model may not call a field.
        return {f"argument_{number}": name for number, name in enumerate(self.given)}

    @cached_property
    def _model(self) -> type[BaseModel]:
        from pydantic import Field, create_model

        fields: dict[str, Any] = {}
        for field, name in self._names.items():
            parameter = self.given[name]
            is_needed = parameter.default is parameter.empty
            fields[field] = (
                self._type_of(name, parameter.annotation),
                Field(... if is_needed else None, alias=name),
            )
        try:
            return create_model(self._name, __config__=_config(), **fields)
        except Exception as error:
            raise self._unusable(error) from error

    @cached_property
    def _result_model(self) -> type[BaseModel]:
        from pydantic import create_model

        anything: dict[str, Any] = {_RESULT: (Any, None)}
        try:
            fields: dict[str, Any] = {_RESULT: (self._type_of("return", self._returns), None)}
            return create_model(self._name, __config__=_config(), **fields)
        except Exception:
            # A type that only the type checker knows is no reason not to run the task.
            return create_model(self._name, __config__=_config(), **anything)

    def _type_of(self, name: str, annotation: Any) -> Any:
        if annotation is inspect.Parameter.empty:
            return Any
        carrier: Any = types.SimpleNamespace(__annotations__={name: annotation})
        function = inspect.unwrap(self._function)
        around = inspect.getclosurevars(function).nonlocals if inspect.isfunction(function) else {}
        try:
            return get_type_hints(
                carrier, getattr(function, "__globals__", {}), dict(around), include_extras=True
            )[name]
        except NameError as error:
            raise ConfigurationError(
                f"task {self._name!r}: the annotation {annotation!r} of {name!r} cannot be read: {error}; "
                "import its type where the task runs too, not only for the type checker"
            ) from None

    def _unusable(self, error: Exception) -> ConfigurationError:
        if isinstance(error, ConfigurationError):
            return error
        return ConfigurationError(
            f"task {self._name!r}: a parameter has a type that cannot travel as JSON: {_first(error)}; "
            f"{self._expected}. Give what the worker provides the default Depends(...) or CurrentJob()"
        )

    def _misfit(self, error: ValueError) -> TaskArgumentError:
        problems = "; ".join(_problems(error)) or _first(error)
        return TaskArgumentError(f"task {self._name!r}: {problems}; {self._expected}")


def _config() -> Any:
    from pydantic import ConfigDict

    return ConfigDict(
        extra="forbid", ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="strings"
    )


def _problems(error: ValueError) -> list[str]:
    """What is wrong with each argument, in the words of pydantic."""
    found: Any = getattr(error, "errors", None)
    if found is None:
        return []
    validation: ValidationError = error  # type: ignore[assignment]
    lines = []
    for problem in validation.errors(include_url=False, include_context=False):
        place = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"there is no argument {place!r}")
        elif problem["type"] == "missing":
            lines.append(f"the argument {place!r} is missing")
        else:
            lines.append(
                f"the argument {place!r} does not fit: {problem['msg']}, got {_short(problem['input'])}"
            )
    return lines


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - a line's worth


def _first(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
