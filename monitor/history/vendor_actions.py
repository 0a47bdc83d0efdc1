"""Splits, dividends and new symbols from the vendor of a feed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import replace

from monitor.corporate_actions import Action
from monitor.corporate_actions.file import actions_of_frame
from monitor.history.sources import entry_of, opened_actions
from monitor.settings import Settings


async def vendor_actions(
    settings: Settings, feed: str, symbols: Collection[str], first: dt.date, last: dt.date
) -> list[Action]:
    """What the vendor of a feed knows of `symbols`, by date, ex-dates `first` to `last` both included.

    Raises:
        NoSource: There is no such feed, or its vendor has none.
        RestError: The vendor refuses, or answers what cannot be read.
    """
    found: set[Action] = set()
    async with opened_actions(settings, entry_of(settings, feed)) as source:
        async for frame in source.actions(symbols, first, last):
            found.update(replace(action, source=f"feed {feed}") for action in actions_of_frame(frame))
    return sorted(found)
