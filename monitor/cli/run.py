"""``rotation run``: the daemon."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from monitor.cli.configuration import config_option, find_config
from monitor.cli.faults import Exit, Fault, Silent
from monitor.cli.output import print_diagnostics


@click.command(short_help="Run the monitor.")
@config_option
@click.option("--demo", is_flag=True, help="A simulated exchange, the shipped rules, alerts on the console; no file.")
@click.option("--log-format", type=click.Choice(["auto", "console", "json"]), help="As `log: {format}`.")
def run(config: Path | None, demo: bool, log_format: str | None) -> int:  # noqa: FBT001 - click calls it so
    """Run the monitor until Ctrl-C or SIGTERM.

    Every key of the configuration is also an environment variable: ROTATION_LATENESS=1m, ROTATION_WEB__TOKEN=...
    """
    env = dict(os.environ)
    if log_format:
        env["ROTATION_LOG__FORMAT"] = log_format
    if not demo:
        return _run(find_config(config), env, None)
    if config is not None:
        raise Fault("--demo is a configuration of its own: leave --config out")
    with tempfile.TemporaryDirectory(prefix="rotation-demo-") as folder:
        return _run(None, env, Path(folder))


def _run(config: Path | None, env: dict[str, str], demo: Path | None) -> int:
    from monitor.settings import load_settings

    loaded = load_settings(config, env, demo=demo)
    if loaded.diagnostics:
        print_diagnostics(loaded.diagnostics)
    if loaded.settings is None:
        raise Silent(Exit.WRONG)
    if not loaded.settings.feeds:
        where = f"{config} has no `feeds`" if config else "no rotation.yaml here, and no feed in the environment"
        raise Fault(f"{where}: name the file with --config, or try `rotation run --demo`")

    import asyncio

    import uvloop

    from monitor import app

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(app.run(loaded.settings))
