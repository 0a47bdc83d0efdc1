"""Files that commands write: looked at before the work begins, so that an hour's backtest is not for nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from monitor.cli.faults import Fault


def check_writable(path: Path, option: str, suffixes: Sequence[str]) -> None:
    """Make sure that a file of this name makes sense and can be written.

    Raises:
        Fault: It has another suffix (rule or data files are not overwritten by mistake), or there is no such folder.
    """
    if path.suffix.lower() not in suffixes:
        raise Fault(f"{option} {path}: name a file that ends in {' or '.join(suffixes)}")
    if not path.parent.is_dir():
        raise Fault(f"{option} {path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise Fault(f"{option} {path}: it cannot be written there")


def write_file(path: Path, content: bytes) -> None:
    """Write a whole file, whatever it held before.

    Raises:
        Fault: The machine refuses.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise Fault(f"{path}: {error.strerror or error}") from None
