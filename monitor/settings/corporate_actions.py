"""Where splits, dividends and new symbols are named."""

from __future__ import annotations

from typing import Literal

from monitor.settings.base import ExistingPath, Model


class FileActions(Model):
    """Corporate actions of a file: ts, symbol, kind and ratio, amount or new; read again when it changes."""

    type: Literal["file"]
    data: ExistingPath
