"""``rotation run``: the daemon."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

import click

from monitor.cli.configuration import config_option, find_config
from monitor.cli.faults import Exit, Fault, Silent
from monitor.cli.output import print_diagnostics

_HELD_UP: Final = 1.0
"""Seconds that threads have to end once the monitor has."""


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
        return _ended(_run(find_config(config), env, None))
    if config is not None:
        raise Fault("--demo is a configuration of its own: leave --config out")
    with tempfile.TemporaryDirectory(prefix="rotation-demo-") as folder:
        code = _run(None, env, Path(folder))
    return _ended(code)


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


def _ended(code: int) -> int:
    """The code; or the end of the process, where a thread is held up in a send.

    A server that never ends its answer, or a terminal that nobody reads, holds it for ever. All that was to be kept is
    in the store by now, and a thread cannot be stopped: Python would wait for it.
    """
    deadline = time.monotonic() + _HELD_UP
    others = [t for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
    for thread in others:
        thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in others):
        sys.stderr.flush()
        os._exit(code)
    return code
