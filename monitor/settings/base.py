"""What all models of the configuration share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, StringConstraints, ValidationInfo
from pydantic_core import PydanticCustomError

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
Text = Annotated[str, StringConstraints(min_length=1)]


class Model(BaseModel):
    """Base of all: unknown keys are errors, nothing changes after loading, errors do not repeat the input."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)


def _absolute(path: Path, info: ValidationInfo) -> Path:
    """Relative paths start at the folder of the configuration file, which the loader hands in."""
    return info.context["folder"] / path.expanduser() if info.context else path


def _existing(path: Path, info: ValidationInfo) -> Path:
    found = _absolute(path, info)
    if not found.exists():
        raise PydanticCustomError("path", "there is no `{path}`", {"path": str(path)})
    return found


FilePath = Annotated[Path, AfterValidator(_absolute)]
ExistingPath = Annotated[Path, AfterValidator(_existing)]


def not_empty(secret: SecretStr) -> SecretStr:
    """The secret; one that is nothing but blanks is an error."""
    if not secret.get_secret_value().strip():
        raise PydanticCustomError("empty_secret", "is empty")
    return secret
