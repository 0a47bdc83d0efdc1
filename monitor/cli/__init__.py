"""The command ``rotation``."""

from monitor.cli.program import main

__all__ = ["main"]
