"""What the dispatcher knows and a restart must not lose: open alerts, who was told what, when groups were told.

Every change is noted, so that the dispatcher can write it in one step with the messages it led to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from monitor.alerting.alert import Alert
from monitor.notify.message import Kind
from monitor.store.base import STEP

CURSOR: Final = "cursor"
CLOCK: Final = "clock"
HEARTBEAT: Final = "heartbeat"
_ALERT: Final = "alert:"
_TOLD: Final = "told:"
_GROUP: Final = "group:"
_SENT: Final = "sent:"
_FLAPS: Final = "flaps:"
_GATHERED: Final = "digest:"


@dataclass(frozen=True, slots=True)
class Told:
    """What a receiver was last told of an episode.

    `at`: when, UTC ns; `since`: when first. `acknowledged`: the time of the acknowledgement it was told of, 0 is none.
    `due`: when it is to be told again while the alert fires, after `repeats` repeats; None: never.
    """

    kind: Kind
    sequence: int
    at: int
    severity: str
    repeats: int = 0
    due: int | None = None
    since: int = 0
    acknowledged: int = 0


@dataclass(frozen=True, slots=True)
class GroupTimes:
    """When a group's first alert came, and when it was last told; UTC ns, 0 is never."""

    since: int
    flushed_at: int = 0


@dataclass(frozen=True, slots=True)
class Flaps:
    """How often an instance has fired of late, and what is kept for the digest.

    `times`: when, UTC ns. `episode`: the newest that was held back (empty: none is). `missed`: how often it fired since
    the receiver last heard of it. `due`: when the digest is.
    """

    times: tuple[int, ...] = ()
    episode: str = ""
    missed: int = 0
    due: int = 0


@dataclass(frozen=True, slots=True)
class Gathered:
    """What waits for a receiver's digest, and when that is due (UTC ns)."""

    due: int
    episodes: tuple[str, ...] = ()


class Ledger:
    """See the module. Read its dictionaries freely; change them by its methods only."""

    def __init__(self) -> None:
        self.cursor = ""
        self.clock = 0
        """The daemon's clock at the last change, UTC ns."""
        self.alerts: dict[str, Alert] = {}
        """By episode: those that fire, and those that somebody has yet to be told are over."""
        self.told: dict[str, dict[str, Told]] = {}
        """By episode and receiver."""
        self.groups: dict[str, GroupTimes] = {}
        self.sent: dict[str, tuple[int, ...]] = {}
        """By receiver with a limit: when it was sent messages in the last minute."""
        self.flaps: dict[str, Flaps] = {}
        self.digests: dict[str, Gathered] = {}
        """By receiver."""
        self.heartbeat = ""
        """The date of the last heartbeat; empty: none is to be caught up with."""
        self._changed: set[str] = set()

    def load(self, fields: Mapping[str, bytes]) -> None:
        """Take up what is stored. Raises msgspec.ValidationError where it cannot be read."""
        for name, data in fields.items():
            if name == CURSOR:
                self.cursor = data.decode()
            elif name == CLOCK:
                self.clock = int(data)
            elif name == HEARTBEAT:
                self.heartbeat = data.decode()
            elif name.startswith(_ALERT):
                self.alerts[name.removeprefix(_ALERT)] = msgspec.json.decode(data, type=Alert)
            elif name.startswith(_TOLD):
                receiver, _, episode = name.removeprefix(_TOLD).partition(":")
                self.told.setdefault(episode, {})[receiver] = msgspec.json.decode(data, type=Told)
            elif name.startswith(_GROUP):
                self.groups[name.removeprefix(_GROUP)] = msgspec.json.decode(data, type=GroupTimes)
            elif name.startswith(_SENT):
                self.sent[name.removeprefix(_SENT)] = msgspec.json.decode(data, type=tuple[int, ...])
            elif name.startswith(_FLAPS):
                self.flaps[name.removeprefix(_FLAPS)] = msgspec.json.decode(data, type=Flaps)
            elif name.startswith(_GATHERED):
                self.digests[name.removeprefix(_GATHERED)] = msgspec.json.decode(data, type=Gathered)
            elif name != STEP:
                self._changed.add(name)  # of a version that knew more: removed, as it would be wrong before long

    # --- changes ------------------------------------------------------------------------------------------------------

    def move(self, cursor: str) -> None:
        """Transitions up to this stream id have been dealt with."""
        self.cursor = cursor
        self._changed.add(CURSOR)

    def beat(self, day: str) -> None:
        """Note the date of a heartbeat."""
        self.heartbeat = day
        self._changed.add(HEARTBEAT)

    def keep(self, alert: Alert) -> None:
        """Note an alert."""
        self.alerts[alert.episode] = alert
        self._changed.add(_ALERT + alert.episode)

    def forget(self, episode: str) -> None:
        """Forget an alert, and who was told of it."""
        self.alerts.pop(episode, None)
        self._changed.add(_ALERT + episode)
        for receiver in self.told.pop(episode, {}):
            self._changed.add(f"{_TOLD}{receiver}:{episode}")

    def tell(self, episode: str, receiver: str, told: Told) -> None:
        """Note what a receiver is told."""
        self.told.setdefault(episode, {})[receiver] = told
        self._changed.add(f"{_TOLD}{receiver}:{episode}")

    def forget_receivers(self, has: Callable[[str], bool]) -> set[str]:
        """Forget what receivers were told, and what waits for them, that there are no more; their names."""
        gone = {receiver for by in self.told.values() for receiver in by if not has(receiver)}
        for episode, by in self.told.items():
            for receiver in gone & by.keys():
                del by[receiver]
                self._changed.add(f"{_TOLD}{receiver}:{episode}")
        for receiver in [each for each in self.digests if not has(each)]:
            self.gather(receiver, None)
        for key in [each for each in self.flaps if not has(each.partition("/")[0])]:
            self.count_flaps(key, None)
        return gone

    def time_group(self, group: str, times: GroupTimes | None) -> None:
        """Note a group's times; None forgets it."""
        _put(self.groups, group, times)
        self._changed.add(_GROUP + group)

    def count_sent(self, receiver: str, times: tuple[int, ...]) -> None:
        """Note when a receiver with a limit was sent messages."""
        self.sent[receiver] = times
        self._changed.add(_SENT + receiver)

    def count_flaps(self, key: str, flaps: Flaps | None) -> None:
        """Note how an instance flaps for a receiver; None forgets it."""
        _put(self.flaps, key, flaps)
        self._changed.add(_FLAPS + key)

    def gather(self, receiver: str, gathered: Gathered | None) -> None:
        """Note what waits for a receiver's digest; None: nothing does."""
        _put(self.digests, receiver, gathered)
        self._changed.add(_GATHERED + receiver)

    # --- the store ----------------------------------------------------------------------------------------------------

    def changes(self, now: int) -> dict[str, bytes | None]:
        """Fields that changed since the last call, as they are stored; `now` is the daemon's clock, UTC ns."""
        changed, self._changed = self._changed, set()
        if changed:
            self.clock = now
            changed.add(CLOCK)
        return {name: self._encoded(name) for name in sorted(changed)}

    def whole(self) -> dict[str, bytes | None]:
        """Every field, as it is stored."""
        names = {CURSOR, CLOCK, *(_ALERT + e for e in self.alerts), *(_GROUP + g for g in self.groups)}
        names |= {f"{_TOLD}{receiver}:{episode}" for episode, by in self.told.items() for receiver in by}
        names |= {*(_SENT + r for r in self.sent), *(_FLAPS + k for k in self.flaps)}
        names |= {_GATHERED + r for r in self.digests}
        names |= {HEARTBEAT} if self.heartbeat else set()
        return {name: self._encoded(name) for name in sorted(names)}

    def _encoded(self, name: str) -> bytes | None:
        if name in (CURSOR, CLOCK):
            return (self.cursor if name == CURSOR else str(self.clock)).encode()
        if name == HEARTBEAT:
            return self.heartbeat.encode()
        kind, _, rest = name.partition(":")
        found: Any
        match kind + ":":
            case "alert:":
                found = self.alerts.get(rest)
            case "told:":
                receiver, _, episode = rest.partition(":")
                found = self.told.get(episode, {}).get(receiver)
            case "group:":
                found = self.groups.get(rest)
            case "sent:":
                found = self.sent.get(rest)
            case "digest:":
                found = self.digests.get(rest)
            case _:
                found = self.flaps.get(rest) if kind + ":" == _FLAPS else None
        return None if found is None else msgspec.json.encode(found)


def _put(table: dict[str, Any], key: str, value: object) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
