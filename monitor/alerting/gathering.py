"""The groups that alerts are in, and when each is to be looked at again."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import replace

from monitor.alerting.groups import Group
from monitor.alerting.ledger import GroupTimes, Ledger
from monitor.alerting.routes import Destination


class Groups:
    """See the module. A group lives as long as an alert is in it; its times are kept in the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.by_id: dict[str, Group] = {}
        self._of: dict[str, list[str]] = {}
        self._timers: list[tuple[int, str]] = []
        self._touched: dict[str, None] = {}

    # --- who is in which ----------------------------------------------------------------------------------------------

    def join(self, episode: str, way: Iterable[Destination], at: int) -> None:
        """An alert is told this way; a group that is new begins at `at`, UTC ns, unless the ledger knows it."""
        ids = self._of.setdefault(episode, [])
        for each in way:
            group_id = f"{each.receiver}/{each.key}"
            group = self.by_id.get(group_id)
            if group is None:
                times = self._ledger.groups.get(group_id) or GroupTimes(at)
                group = self.by_id[group_id] = Group.of(each, times)
                self._keep_times(group)
            group.episodes[episode] = None
            if group_id not in ids:
                ids.append(group_id)
            self.touch(group)

    def of(self, episode: str) -> list[Group]:
        """The groups an alert is in."""
        return [self.by_id[group_id] for group_id in self._of.get(episode, ())]

    def leave(self, episode: str) -> list[Group]:
        """Take an alert out of its groups, and let go of those that are empty then; the groups it was in."""
        groups = self.of(episode)
        self._of.pop(episode, None)
        for group in groups:
            del group.episodes[episode]
            group.holds.pop(episode, None)
            if not group.episodes:
                del self.by_id[group.id]
                self._touched.pop(group.id, None)
                if not group.alone:
                    self._ledger.time_group(group.id, None)
        return groups

    def forget_unused(self) -> None:
        """Drop from the ledger the times of groups that nothing is in."""
        for group_id in [name for name in self._ledger.groups if name not in self.by_id]:
            self._ledger.time_group(group_id, None)

    # --- when ---------------------------------------------------------------------------------------------------------

    def touch(self, group: Group) -> None:
        """Something has changed: the group is to be looked at again."""
        self._touched[group.id] = None

    def wake(self) -> None:
        """Ask again about everything that was held back."""
        for group in self.by_id.values():
            if group.holds:
                group.holds.clear()
                self.touch(group)

    def told(self, group: Group, at: int) -> None:
        """The group's receiver was told at a time, UTC ns."""
        group.times = replace(group.times, flushed_at=at)
        self._keep_times(group)

    def set_back(self, at: int) -> None:
        """The clock was set back to `at`: no group waits for a time that was never right."""
        for group in self.by_id.values():
            before = group.times
            group.set_back(at)
            if group.times != before:
                self._keep_times(group)
            group.holds.clear()
            self.touch(group)

    def look_again(self, now: int, due: Callable[[Group, int], int | None]) -> None:
        """Set the timers of the groups in which something has changed, to when they are `due` and never before now."""
        touched, self._touched = self._touched, {}
        for group_id in touched:
            group = self.by_id.get(group_id)
            if group is not None:
                at = due(group, now)
                group.due = None if at is None else max(at, now)
                if group.due is not None:
                    heapq.heappush(self._timers, (group.due, group_id))

    def next_due(self) -> int | None:
        """When a timer goes off next; None where none is set."""
        while self._timers and not self._is_current(self._timers[0]):
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def pop_due(self, end: int) -> tuple[int, Group] | None:
        """The next timer that goes off by `end`, and its group."""
        due = self.next_due()
        if due is None or due > end:
            return None
        return due, self.by_id[heapq.heappop(self._timers)[1]]

    def _is_current(self, timer: tuple[int, str]) -> bool:
        group = self.by_id.get(timer[1])
        return group is not None and group.due == timer[0]

    def _keep_times(self, group: Group) -> None:
        if not group.alone:
            self._ledger.time_group(group.id, group.times)
