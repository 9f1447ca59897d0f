"""Settings shared by more than one service, and how any settings model is loaded.

Each service's own settings live in the service; all of them read environment variables with the
prefix ``RECOMMENDER_``. A wrong value stops the service with a message that names the variable.
``RECOMMENDER_SETTINGS_FILE`` may name a file of such variables, one ``NAME=value`` a line, as
``python -m modeler tune`` writes; a variable of the environment goes before one of the file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self, TypeVar

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from recommender.errors import InvalidSetting

PREFIX = "RECOMMENDER_"
SETTINGS_FILE = PREFIX + "SETTINGS_FILE"


class Settings(BaseSettings):
    """Root of all settings models."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the settings file."""
        named = os.environ.get(SETTINGS_FILE)
        if named:
            if not Path(named).is_file():
                raise InvalidSetting(f"{SETTINGS_FILE}={named!r}: there is no such file")
            dotenv_settings = DotEnvSettingsSource(settings_cls, env_file=named)
        return init_settings, env_settings, dotenv_settings, file_secret_settings


class ScaleSettings(Settings):
    """The scale that ratings are given on."""

    rating_min: float = Field(
        0.5, description="Lowest rating that is accepted.", allow_inf_nan=False
    )
    rating_max: float = Field(
        5.0, description="Highest rating that is accepted.", allow_inf_nan=False
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.rating_min >= self.rating_max:
            raise ValueError(
                f"{PREFIX}RATING_MIN={self.rating_min} must be below "
                f"{PREFIX}RATING_MAX={self.rating_max}"
            )
        return self


SomeSettings = TypeVar("SomeSettings", bound=Settings)


def load(kind: type[SomeSettings]) -> SomeSettings:
    """Read a settings model from the environment.

    Raises
    ------
    InvalidSetting
        Naming every wrong variable, its value and what is allowed.
    """
    try:
        return kind()
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            name = PREFIX + "_".join(str(part) for part in problem["loc"]).upper()
            if not problem["loc"]:
                lines.append(problem["msg"].removeprefix("Value error, "))
            else:
                lines.append(f"{name}={problem['input']!r}: {problem['msg']}")
        raise InvalidSetting("; ".join(lines)) from error
