"""The corporate actions in force: those of the configured files and those in the store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

import polars as pl

from monitor.corporate_actions.action import Action, ActionError, Kind
from monitor.corporate_actions.file import actions_frame, actions_of_frame, read_actions
from monitor.store.base import BarChunk, Store

STORED: Final = "actions"
"""What the store calls the one chunk of actions."""


class ActionBook:
    """Reads actions, and again when a file changes. `dividends`: whether they change prices before them."""

    def __init__(self, paths: Sequence[Path], *, dividends: bool, stored: Sequence[Action] = ()) -> None:
        self._paths, self._dividends, self._stored = paths, dividends, stored
        self._seen: list[tuple[int, int]] = []
        self.error = ""
        """Why the files cannot be read; empty where they can. What was read before stays in force."""
        self.actions: list[Action] = []
        self.reread()

    @classmethod
    async def open(cls, store: Store, paths: Sequence[Path], *, dividends: bool) -> ActionBook:
        """The book of a daemon, with what is in its store."""
        return cls(paths, dividends=dividends, stored=await load_actions(store))

    def reread(self) -> bool:
        """Read the files if one has changed; whether the actions are others now."""
        try:
            seen = [(path.stat().st_mtime_ns, path.stat().st_size) for path in self._paths]
            if seen == self._seen and self._seen:
                return False
            self._seen = seen
            read = [action for path in self._paths for action in read_actions(path)]
        except (ActionError, OSError) as error:
            self.error = str(error)
            return False
        self.error = ""
        actions = sorted({*self._stored, *read})
        if not self._dividends:
            actions = [action for action in actions if action.kind is not Kind.DIVIDEND]
        changed, self.actions = actions != self.actions, actions
        return changed


async def load_actions(store: Store) -> list[Action]:
    """The actions in the store."""
    return [
        action
        for chunk in await store.load_bars(STORED, await store.bar_chunks(STORED))
        for action in actions_of_frame(pl.read_ipc(BytesIO(chunk.data)))
    ]


async def add_action(store: Store, action: Action) -> None:
    """Put an action into the store, in place of another of its kind, symbol and date."""
    await add_actions(store, [action])


async def add_actions(store: Store, actions: Collection[Action]) -> None:
    """Put actions into the store, each in place of another of its kind, symbol and date."""
    told = {(a.kind, a.symbol, a.date) for a in actions}
    others = [a for a in await load_actions(store) if (a.kind, a.symbol, a.date) not in told]
    frame = actions_frame([*others, *actions])
    await store.save_bars([BarChunk(STORED, "all", frame.write_ipc(None).getvalue())])
