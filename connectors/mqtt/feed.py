"""An MQTT broker as a feed: topics and payloads to batches, the broker's answers to notices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from connectors.batch import Batch, Notice, NoticeKind
from connectors.feed import Address, Frame, Remedy
from connectors.mqtt import payload
from connectors.mqtt.columns import Columns
from connectors.mqtt.envelope import CONFLATED, CONNECTION, GAP, SUBSCRIPTION, Answer, Granted, Missing, Wanted, split
from connectors.mqtt.layout import KINDS, ForeignLayout, Kind, Router
from connectors.mqtt.payload import Payload

REFUSED: Final = 128
"""The first reason code that says no."""

_STOP: Final = frozenset({128 + n for n in (1, 2, 4, 5, 6, 7, 10, 12)}) | {143, 144, 155, 156}
"""Malformed, protocol, version, client id, user or password, not authorised, banned, method; server moved."""
_WAIT: Final = frozenset({136, 137, 151, 159})
"""Server unavailable or busy, quota or connection rate exceeded."""

NOBODY: Final = "no topic"
"""The broker refuses every topic."""

_AT_ONCE: Final = 128 * 1024
"""Bytes of messages that are read together: enough that each costs little, few enough that what they hold is still in
the cache when it is put into columns, and that one that is broken makes few others be read one by one."""


_LONG: Final = 1024
"""Bytes of a message."""


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
        columns = {kind: Columns(kind, received_at) for kind in KINDS.values()}
        count = _at_once(frames)
        for start in range(0, len(frames), count):
            some = frames[start : start + count]
            if not self._take_known(some, columns, rejected, unused):
                self._take_any(some, columns, notices, rejected, unused)
        made: dict[str, Any] = {kind: filled.frame(rejected) for kind, filled in columns.items() if filled}
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

    def _take_known(
        self, frames: Sequence[Frame], columns: Mapping[Kind, Columns], rejected: Counter[str], unused: Counter[str]
    ) -> bool:
        """Take frames all of which are on topics of our own layout that were met before; False, and nothing, if not.

        Written as a few lists at a time, which costs half of what a loop over the frames does.
        """
        known, packed = self.router.known, cast("Sequence[bytes]", frames)
        try:
            routes = [known[frame[: frame[1] + 2]] for frame in packed]
        except (LookupError, TypeError):  # another topic, a frame cut short, a text
            return False
        kinds = {route.kind for route in routes}
        for kind, filled in columns.items():
            if kind not in kinds:
                continue
            some = packed
            if len(kinds) > 1:
                some = [frame for frame, route in zip(packed, routes, strict=True) if route.kind == kind]
            # To look into a long message is cheaper than to copy it, and the other way round for a short one.
            whole: Iterable[Payload] = some if len(some[0]) < _LONG else map(memoryview, some)
            payloads = [frame[frame[1] + 2 :] for frame in whole]
            filled.take(payloads, [route.symbol for route in routes if route.kind == kind], rejected, unused)
        return True

    def _take_any(
        self,
        frames: Sequence[Frame],
        columns: Mapping[Kind, Columns],
        notices: list[Notice],
        rejected: Counter[str],
        unused: Counter[str],
    ) -> None:
        """Take frames one by one, remembering topics of our own layout."""
        waiting: dict[Kind, tuple[list[Payload], list[str]]] = {kind: ([], []) for kind in columns}
        for frame in frames:
            try:
                topic, content = split(frame if isinstance(frame, bytes) else frame.encode())
                found = self.router.routed(topic)
            except (ValueError, UnicodeError):
                rejected["malformed"] += 1
                continue
            kind = found.kind
            if kind is None:
                self._control(topic.decode(), content, notices, rejected, unused)
            elif kind == "status":
                notices += _status(found.source, content, rejected)
            elif found.layout is None:
                payloads, symbols = waiting[kind]
                payloads.append(content)
                symbols.append(found.symbol)
            else:
                before = rejected.total()
                foreign = payload.foreign_rows(content, found.layout, rejected)
                if not foreign and rejected.total() == before:
                    unused["empty message"] += 1
                if waiting[kind][0]:
                    columns[kind].take(*waiting[kind], rejected, unused)
                    waiting[kind] = ([], [])
                columns[kind].take_foreign(foreign, found, rejected)
        for kind, (payloads, symbols) in waiting.items():
            if payloads:
                columns[kind].take(payloads, symbols, rejected, unused)

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
            elif topic == GAP:
                gap = msgspec.json.decode(content, type=Missing)
                notices.append(Notice(NoticeKind.GAP, gap.text, missing=gap.missing))
            else:
                rejected["unknown topic"] += 1
        except payload.UNREADABLE_PAYLOAD:
            rejected["malformed"] += 1


def _at_once(frames: Sequence[Frame]) -> int:
    """How many of the frames to read together, by the size of the first."""
    return max(1, _AT_ONCE // (len(frames[0]) + 1)) if frames else 1


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
