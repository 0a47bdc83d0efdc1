"""What every test may ask for: the folder of recorded market data, and the tools beside it.

Recorded prices may not be redistributed, so they are no part of the project. They lie in ``../shared`` next to the
checkout; ``ROTATION_SHARED_DATA`` and ``ROTATION_SHARED_TOOLS`` name other folders.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

# How long an example takes says more about the machine's neighbours than about the code.
settings.register_profile("rotation", deadline=None)
settings.load_profile("rotation")


def shared(name: str) -> Path:
    """The folder `name` of the shared material, present or not."""
    return Path(os.environ.get(f"ROTATION_SHARED_{name.upper()}") or ROOT.parent / "shared" / name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `realdata` where there is no recorded data."""
    folder = shared("data")
    if folder.is_dir():
        return
    skip = pytest.mark.skip(
        reason=f"no recorded market data: {folder} is absent (ROTATION_SHARED_DATA names another folder)"
    )
    for item in items:
        if item.get_closest_marker("realdata"):
            item.add_marker(skip)


def folder_or_skip(name: str) -> Path:
    """The folder `name` of the shared material, or the end of the test with a plain message."""
    folder = shared(name)
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent (ROTATION_SHARED_{name.upper()} names another folder)")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded market data: ``bars_5min.parquet``, ``facts.json``, ..."""
    return folder_or_skip("data")


@pytest.fixture(scope="session")
def shared_tools() -> Path:
    """The folder of outside tools, such as ``alpaca_replay.py``."""
    return folder_or_skip("tools")
