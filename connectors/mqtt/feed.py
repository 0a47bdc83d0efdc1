"""An MQTT broker as a feed: topics and payloads to batches, the broker's answers to notices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl

from connectors.batch import BARS, TIME, Batch, Notice, NoticeKind
from connectors.feed import Address, Frame, Remedy
from connectors.mqtt import payload
from connectors.mqtt.envelope import CONFLATED, CONNECTION, SUBSCRIPTION, Answer, Granted, Wanted, split
from connectors.mqtt.layout import ForeignLayout, Kind, Route, Router, Unit, symbol_of
from connectors.rows import possible_rows
from connectors.timestamps import UNREADABLE, Nanoseconds

REFUSED: Final = 128
"""The first reason code that says no."""

_STOP: Final = frozenset({128 + n for n in (1, 2, 4, 5, 6, 7, 10, 12)}) | {143, 144, 155, 156}
"""Malformed, protocol, version, client id, user or password, not authorised, banned, method; server moved."""
_WAIT: Final = frozenset({136, 137, 151, 159})
"""Server unavailable or busy, quota or connection rate exceeded."""

NOBODY: Final = "no topic"
"""The broker refuses every topic."""

_REQUIRED: Final[dict[Kind, tuple[str, ...]]] = {
    "quotes": ("bid", "ask"),
    "trades": ("price",),
    "bars": ("open", "high", "low", "close"),
    "statuses": (),
}
_UNKNOWN_ALLOWED: Final[dict[Kind, tuple[str, ...]]] = {
    "quotes": ("bid_size", "ask_size"),
    "trades": ("size",),
    "bars": ("volume",),
    "statuses": (),
}


_AT_ONCE: Final = 500
"""Rows whose values go into the columns together: enough that each costs little, few enough to stay in the cache."""


class MqttFeed:
    """A connection to an MQTT broker; :class:`connectors.feed.Feed` without I/O.

    What is subscribed to are topics, which the configuration names, not instruments.

    Args:
        name: What this feed is called in batches, counts and messages.
        url: ``mqtt://HOST:PORT`` or ``mqtts://HOST:PORT``.
        topics: Topic filters, such as ``md/v1/#``.
        qos: The quality of service asked for: 0, or 1 for messages that must not be lost.
        layouts: Foreign layouts; each goes before the layout of our own.
    """

    def __init__(
        self, name: str, *, url: str, topics: Sequence[str], qos: int = 0, layouts: Sequence[ForeignLayout] = ()
    ) -> None:
        self.name = name
        self._url = url
        self._topics = list(topics)
        self._qos = qos
        self.router = Router(layouts)

    def address(self) -> Address:
        """The broker's URL."""
        return Address(self._url)

    def greeting(self) -> Sequence[Frame]:
        """What to subscribe to; a broker that kept the session is told again, which changes nothing."""
        return [msgspec.json.encode(Wanted(self._topics, self._qos))]

    def reply(self, notice: Notice) -> Sequence[Frame]:  # noqa: ARG002 - a broker asks nothing
        """Nothing."""
        return ()

    def subscribe(self, symbols: Collection[str]) -> Sequence[Frame]:  # noqa: ARG002 - topics are what is subscribed to
        """Nothing: the configuration says which topics."""
        return ()

    def parse(self, frames: Sequence[Frame], received_at: int) -> Batch:
        """The frames' content in columns; what cannot be read is counted in ``rejected``, and never raises."""
        rejected: Counter[str] = Counter()
        unused: Counter[str] = Counter()
        notices: list[Notice] = []
        columns: dict[Kind, _Columns] = {kind: _Columns(kind) for kind in _REQUIRED}
        routed = self.router.routed
        for frame in frames:
            try:
                topic, content = split(frame if isinstance(frame, bytes) else frame.encode())
                found = routed(topic)
            except (ValueError, UnicodeError):
                rejected["malformed"] += 1
                continue
            kind = found.kind
            if kind is None:
                self._control(topic.decode(), content, notices, rejected, unused)
            elif kind == "status":
                notices += _status(found.source, content, rejected)
            elif found.layout is None:
                rows = payload.rows(content, kind, rejected)
                if not rows and not rejected:
                    unused["empty message"] += 1
                columns[kind].take(rows, found.symbol)
            else:
                foreign = payload.foreign_rows(content, found.layout, rejected)
                if not foreign and not rejected:
                    unused["empty message"] += 1
                columns[kind].take_foreign(foreign, found, rejected)
        made: dict[str, Any] = {
            kind: filled.frame(received_at, rejected) for kind, filled in columns.items() if filled.settled()
        }
        return Batch(
            feed=self.name,
            received_at=received_at,
            **made,
            notices=tuple(notices),
            rejected=rejected,
            unused=unused,
        )

    def remedy(self, notice: Notice) -> Remedy:
        """By the broker's reason code; one topic that is refused takes no other with it."""
        if notice.code in _STOP or notice.code == NOBODY:
            return Remedy.STOP
        if notice.code in _WAIT:
            return Remedy.WAIT
        return Remedy.IGNORE if notice.code == "topic refused" else Remedy.RECONNECT

    def _control(
        self, topic: str, content: bytes, notices: list[Notice], rejected: Counter[str], unused: Counter[str]
    ) -> None:
        """What the client itself has to say, or a topic that nobody described."""
        try:
            if topic == CONNECTION:
                answer = msgspec.json.decode(content, type=Answer)
                notices.append(Notice(NoticeKind.ERROR, f"the broker says: {answer.text}", answer.code))
            elif topic == SUBSCRIPTION:
                notices += _granted(msgspec.json.decode(content, type=list[Granted]))
            elif topic == CONFLATED:
                unused["conflated quote"] += msgspec.json.decode(content, type=int)
            else:
                rejected["unknown topic"] += 1
        except payload.UNREADABLE_PAYLOAD:
            rejected["malformed"] += 1


class _Columns:
    """The columns of one kind, as lists that grow."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self.symbols: list[str] = []
        self._times: list[Any] = []
        self._ends: list[Any] = []
        self._units: list[tuple[int, Unit, float]] = []
        """Up to which row which unit holds, and how many seconds a bar without an end lasts."""
        self._numbers: dict[str, list[float]] = {n: [] for n in (*_REQUIRED[kind], *_UNKNOWN_ALLOWED[kind])}
        self._of_topic: list[tuple[int, str]] = []
        """Up to which of `_rows` which instrument is that of the topic."""
        self._rows: list[Any] = []
        """Of our own layout, whose values are still to be put in the columns: at once, which is quicker."""
        self._ids: list[int | None] = []
        self._texts: dict[str, list[str]] = {"code": [], "reason": []}

    def take(self, rows: Sequence[Any], symbol: str) -> None:
        """Rows of our own layout."""
        self._rows += rows
        self._of_topic.append((len(self._rows), symbol))
        if len(self._rows) >= _AT_ONCE:
            self._settle()

    def take_foreign(self, rows: Sequence[dict[str, Any]], route: Route, rejected: Counter[str]) -> None:
        """Rows of a foreign layout."""
        layout = route.layout
        if layout is None:
            return
        self._settle()
        paths = layout.paths()
        time = tuple(layout.time.split("."))
        for row in rows:
            symbol = symbol_of(route, row)
            if not symbol:
                rejected["no symbol"] += 1
                continue
            self.symbols.append(symbol)
            self._times.append(payload.at(row, time))
            for name, column in self._numbers.items():
                column.append(payload.number(payload.at(row, paths[name])))
            if self._kind == "trades":
                number = payload.at(row, paths["id"])
                inside = type(number) is int and -(2**63) <= number < 2**63
                self._ids.append(number if inside else None)
            elif self._kind == "bars":
                self._ends.append(None)
            elif self._kind == "statuses":
                for name, texts in self._texts.items():
                    value = payload.at(row, paths[name])
                    texts.append(value if isinstance(value, str) else "")
        self._units.append((len(self._times), layout.unit, layout.bar))

    def settled(self) -> bool:
        """Whether there are rows, all of them in the columns."""
        self._settle()
        return bool(self.symbols)

    def frame(self, received_at: int, rejected: Counter[str]) -> pl.DataFrame:
        """The frame of this kind, once settled; impossible rows are counted in `rejected` instead."""
        times = self._stamps(self._times, received_at)
        numbers = {name: self._numbers[name] for name in _REQUIRED[self._kind]}
        others = [_unknown_allowed(name, self._numbers[name]) for name in _UNKNOWN_ALLOWED[self._kind]]
        if self._kind == "trades":
            others.append(pl.Series("id", self._ids, dtype=pl.Int64))
        elif self._kind == "statuses":
            others += [pl.Series(name, texts, dtype=pl.String) for name, texts in self._texts.items()]
        elif self._kind == "bars":
            ends = self._bar_ends(times, received_at)
            times = np.where(ends == UNREADABLE, UNREADABLE, times)
            others.append(pl.Series("end", np.where(times == UNREADABLE, UNREADABLE, ends)).cast(TIME))
            return possible_rows(times, self.symbols, numbers, rejected, others).select(BARS.names())
        return possible_rows(times, self.symbols, numbers, rejected, others)

    def _names(self, rows: Sequence[Any]) -> list[str]:
        """The instrument of each row, where it does not say, that of its topic."""
        topics, self._of_topic = self._of_topic, []
        names = [row.symbol for row in rows]
        if not all(names):
            start = 0
            for end, symbol in topics:
                names[start:end] = [name or symbol for name in names[start:end]]
                start = end
        return names

    def _settle(self) -> None:
        """Put the values of the rows of our own layout into the columns."""
        rows, self._rows = self._rows, []
        if not rows:
            return
        self.symbols += self._names(rows)
        self._times += [row.ts for row in rows]
        for column, values in zip(self._numbers.values(), payload.NUMBERS[self._kind](rows), strict=True):
            column.extend(values)
        if self._kind == "trades":
            self._ids += [row.id for row in rows]
        elif self._kind == "bars":
            self._ends += [row.end for row in rows]
        elif self._kind == "statuses":
            self._texts["code"] += [row.code for row in rows]
            self._texts["reason"] += [row.reason for row in rows]
        if self._units and self._units[-1][1:] == ("ns", 60.0):
            self._units.pop()
        self._units.append((len(self._times), "ns", 60.0))

    def _stamps(self, values: Sequence[Any], received_at: int) -> Nanoseconds:
        parts, start = [], 0
        for end, unit, _ in self._units:
            parts.append(payload.times(values[start:end], unit, received_at))
            start = end
        return np.concatenate(parts)

    def _bar_ends(self, starts: Nanoseconds, received_at: int) -> Nanoseconds:
        given = np.array([end is not None for end in self._ends], dtype=np.bool_)
        ends = np.full(len(starts), UNREADABLE, dtype=np.int64)
        begin = 0
        for end, _, length in self._units:
            part = starts[begin:end]
            ends[begin:end] = np.where(part == UNREADABLE, UNREADABLE, part + int(length * 10**9))
            begin = end
        if given.any():
            ends[given] = payload.times([end for end in self._ends if end is not None], "ns", received_at)
        return ends


def _unknown_allowed(name: str, values: list[float]) -> pl.Series:
    """A column in which NaN means unknown; what is no size is that too."""
    column = pl.Series(name, values, dtype=pl.Float64)
    array = column.to_numpy()
    sized = (array >= 0) & (array < np.inf)
    return column if sized.all() else pl.Series(name, np.where(sized, array, np.nan))


def _granted(answers: list[Granted]) -> list[Notice]:
    """What the broker says to the topics asked for."""
    refused = [answer for answer in answers if answer.code >= REFUSED]
    good = len(answers) - len(refused)
    code = "topic refused" if good else NOBODY
    notices = [Notice(NoticeKind.ERROR, f"the broker refuses topic {a.topic} (reason {a.code})", code) for a in refused]
    return [*([Notice(NoticeKind.SUBSCRIBED, f"topics {good}")] if good else []), *notices]


def _status(source: str, content: bytes, rejected: Counter[str]) -> list[Notice]:
    """Whether a source says that it is there; its last will says that it is not."""
    text = content.strip().lower()
    if text.startswith((b"{", b'"')):
        try:
            said = msgspec.json.decode(content)
        except payload.UNREADABLE_PAYLOAD:
            said = None
        said = said.get("status") if isinstance(said, dict) else said
        text = said.lower().encode(errors="replace") if isinstance(said, str) else b""
    if text in (b"online", b"offline"):
        return [Notice(NoticeKind.ONLINE if text == b"online" else NoticeKind.OFFLINE, source)]
    rejected["unknown status"] += 1
    return []
