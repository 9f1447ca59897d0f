"""Every setting of a model as an option of a command: one list of settings, not two."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from recommender.errors import InvalidSetting
from recommender.model_settings import ModelSettings
from recommender.settings import PREFIX


def model_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a typer command an option for each field of `ModelSettings`.

    The command's parameter ``model`` receives those that were given, as a dict for
    `model_settings`; it is no option itself.
    """
    own = inspect.signature(command, eval_str=True).parameters
    options = {name: _option(name) for name in ModelSettings.model_fields}

    def with_options(**arguments: Any) -> None:
        given = {name: arguments.pop(name) for name in options}
        command(
            **arguments, model={name: value for name, value in given.items() if value is not None}
        )

    parameters = [
        *(
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for name, parameter in own.items()
            if name != "model"
        ),
        *options.values(),
    ]
    with_options.__name__ = command.__name__
    with_options.__doc__ = command.__doc__
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {
        parameter.name: parameter.annotation for parameter in parameters
    }
    return with_options


def model_settings(given: dict[str, Any], scale: tuple[float, float]) -> ModelSettings:
    """Settings from options, else environment variables, else (the scale only) from the data.

    Parameters
    ----------
    given : dict
        Options that were given, by the setting's name.
    scale : (float, float)
        Lowest and highest rating of the data set.

    Raises
    ------
    InvalidSetting
        Naming the option or variable, its value and what is allowed.
    """
    try:
        stated = given.keys() | ModelSettings(**given).model_fields_set
        from_data = dict(zip(("rating_min", "rating_max"), scale, strict=True))
        unstated = {name: value for name, value in from_data.items() if name not in stated}
        return ModelSettings(**{**given, **unstated})
    except ValidationError as error:
        raise InvalidSetting(
            "; ".join(_complaint(problem, given) for problem in error.errors())
        ) from error


def _option(name: str) -> inspect.Parameter:
    field = ModelSettings.model_fields[name]
    default = "the data's" if name in ("rating_min", "rating_max") else str(field.default)
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        help=field.description,
        show_default=default,
        rich_help_panel=f"Model (default: {PREFIX}… variables, then the figure shown)",
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[field.annotation | None, option],  # type: ignore[operator]
    )


def _complaint(problem: Any, given: dict[str, Any]) -> str:
    if not problem["loc"]:
        return str(problem["msg"]).removeprefix("Value error, ")
    name = str(problem["loc"][0])
    source = f"--{name.replace('_', '-')}" if name in given else PREFIX + name.upper()
    return f"{source}={problem['input']!r}: {problem['msg']}"
