"""The configuration a command works with: the file that was named, or ``rotation.yaml`` here, or the environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from monitor.cli.faults import Exit, Fault, Silent
from monitor.cli.output import print_diagnostics

if TYPE_CHECKING:
    from monitor.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT = Path("rotation.yaml")


def config_option(command: Command) -> Command:
    """``--config FILE``."""
    kind = click.Path(path_type=Path)
    help_text = "The configuration; rotation.yaml of this folder if not given."
    return click.option("--config", "config", type=kind, envvar="ROTATION_CONFIG", help=help_text)(command)


def find_config(config: Path | None) -> Path | None:
    """The file to read; None where there is none and the environment alone configures.

    Raises:
        Fault: The file that was named does not exist.
    """
    if config is not None and not config.is_file():
        raise Fault(f"{config}: no such file")
    return config or (DEFAULT if DEFAULT.is_file() else None)


def only_warnings() -> None:
    """Keep the store's and the feeds' records out of a command's output; warnings go to standard error."""
    import logging

    from monitor import logs

    logs.configure(level=logging.WARNING)


def settings_of(config: Path | None, *, only: str | None = None) -> Settings:
    """The settings, or one section of them with the defaults of the rest; their warnings printed.

    Raises:
        Fault: They are wrong; everything that is has been printed.
    """
    from monitor.settings import load_settings

    loaded = load_settings(config, os.environ, only=only)
    if loaded.diagnostics:
        print_diagnostics(loaded.diagnostics)
    if loaded.settings is None:
        raise Silent(Exit.WRONG)
    return loaded.settings
