"""``rotation``: the group of commands. Each imports what it needs when it runs, so that help comes at once."""

from __future__ import annotations

import os
import sys

import click

from monitor.cli.alerts import alerts
from monitor.cli.backtest import backtest
from monitor.cli.check import check
from monitor.cli.doctor import doctor
from monitor.cli.evaluate import evaluate
from monitor.cli.faults import exit_code
from monitor.cli.history import history
from monitor.cli.notify import notify
from monitor.cli.preview import preview
from monitor.cli.run import run
from monitor.cli.schema import schema
from monitor.cli.silence import silence
from monitor.cli.test import test


def _version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click calls it so
    if wanted:
        from importlib.metadata import version

        click.echo(f"rotation {version('rotation-monitor')}")
        ctx.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Say the version.")
def program() -> None:
    """Watches market leadership rotate, by rules you write, and tells you when it does.

    Exit codes: 0 done, 1 the answer is no, 2 wrong use or bad input.
    """


for _command in (run, check, evaluate, backtest, preview, test, alerts, silence, notify, history, doctor, schema):
    program.add_command(_command)


def invoke(words: list[str]) -> object:
    """Run one command to its end; what it raises is for :func:`monitor.cli.faults.exit_code`."""
    # Not `program.main`: it would say in its own words what a broken pipe or Ctrl-C is.
    with program.make_context("rotation", words) as ctx:
        return program.invoke(ctx)


def main() -> None:
    """Entry point of the command ``rotation``."""
    if "_ROTATION_COMPLETE" in os.environ:  # the shell asks for completions
        program.main(prog_name="rotation")
    sys.exit(exit_code(lambda: invoke(sys.argv[1:])))
