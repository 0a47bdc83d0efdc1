"""The messages of the Alpaca v2 stock stream, as its server writes them.

Data leave as arrays of `t` (trade), `q` (quote) and `b` (minute bar) messages, in JSON with RFC 3339 times, or in
MessagePack with its timestamp extension. The vendor describes them at
https://docs.alpaca.markets/docs/real-time-stock-pricing-data
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from connectors.simulator.scenario import SECOND, Tape

CHANNELS: Final = ("trades", "quotes", "bars")
"""What the exchange has data for."""
EMPTY_CHANNELS: Final = ("updatedBars", "statuses", "lulds")
"""What may be subscribed to as well: no trade is late, none halted, no band reached, so nothing is ever sent."""
ALL: Final = "*"

_VENUE: Final = "V"
_TAPE: Final = "C"
_TIMESTAMP: Final = -1
"""MessagePack's extension type of a timestamp."""


class QuoteMessage(msgspec.Struct, tag="q", tag_field="T", rename={"ask_size": "as"}):
    """Best bid and ask; its fields are those of the wire."""

    S: str
    bp: float
    bs: int
    ap: float
    ask_size: int
    t: str | msgspec.msgpack.Ext
    bx: str = _VENUE
    ax: str = _VENUE
    c: tuple[str, ...] = ("R",)
    z: str = _TAPE


class TradeMessage(msgspec.Struct, tag="t", tag_field="T"):
    """One print."""

    S: str
    i: int
    p: float
    s: int
    t: str | msgspec.msgpack.Ext
    x: str = _VENUE
    c: tuple[str, ...] = ("@",)
    z: str = _TAPE


class BarMessage(msgspec.Struct, tag="b", tag_field="T"):
    """One minute of trades; `t` is its start."""

    S: str
    o: float
    h: float
    l: float  # noqa: E741 - the wire's name
    c: float
    v: int
    n: int
    vw: float
    t: str | msgspec.msgpack.Ext


@dataclass(frozen=True, slots=True)
class Selection:
    """The symbols a client wants, by channel; hashable, so that clients with equal wishes share what is encoded."""

    trades: frozenset[str] = frozenset()
    quotes: frozenset[str] = frozenset()
    bars: frozenset[str] = frozenset()
    others: frozenset[tuple[str, str]] = frozenset()
    """(channel, symbol) of `EMPTY_CHANNELS`."""

    def changed(self, wanted: Mapping[str, Iterable[str]], *, add: bool) -> Selection:
        """With the named symbols added to their channels, or taken away."""
        named = {channel: frozenset(wanted.get(channel, ())) for channel in CHANNELS}
        others = frozenset((channel, symbol) for channel in EMPTY_CHANNELS for symbol in wanted.get(channel, ()))
        return Selection(
            **{c: getattr(self, c) | named[c] if add else getattr(self, c) - named[c] for c in CHANNELS},
            others=self.others | others if add else self.others - others,
        )

    @property
    def symbols(self) -> frozenset[str]:
        """Every symbol wanted in any channel."""
        return self.trades | self.quotes | self.bars | {symbol for _, symbol in self.others}

    def wire(self) -> dict[str, Any]:
        """The message that confirms it. Corrections and cancellations come with the trades."""
        trades = sorted(self.trades)
        return {
            "T": "subscription",
            **{channel: sorted(getattr(self, channel)) for channel in CHANNELS},
            **{channel: sorted(s for c, s in self.others if c == channel) for channel in EMPTY_CHANNELS},
            "dailyBars": [],
            "corrections": trades,
            "cancelErrors": trades,
        }


def encode(message: object, *, packed: bool) -> str | bytes:
    """One frame: MessagePack where `packed`, else JSON as text."""
    return msgspec.msgpack.encode(message) if packed else msgspec.json.encode(message).decode()


def decode(frame: str | bytes, *, packed: bool) -> object:
    """What a client sent.

    Raises:
        msgspec.DecodeError: it is neither JSON nor, from a client that packs, MessagePack.
        UnicodeDecodeError: it has a string that is not UTF-8.
    """
    return msgspec.msgpack.decode(frame) if packed and isinstance(frame, bytes) else msgspec.json.decode(frame)


def times(nanoseconds: np.ndarray[Any, Any], *, packed: bool) -> list[Any]:
    """Times (nanoseconds UTC, any number of them) as an encoding writes them, nothing rounded."""
    if packed:
        seconds, rest = np.divmod(nanoseconds, SECOND)
        # 64 bit form: 30 bits of nanoseconds, 34 of seconds, big endian.
        raw = ((rest << 34) | seconds).astype(">u8").tobytes()
        return [msgspec.msgpack.Ext(_TIMESTAMP, raw[i : i + 8]) for i in range(0, len(raw), 8)]
    texts = np.datetime_as_string(nanoseconds.astype("datetime64[ns]"), unit="ns").tolist()
    return [text + "Z" for text in texts]


def frames(
    tape: Tape, start: int, stop: int, selection: Selection, *, packed: bool, most: int
) -> Sequence[tuple[str | bytes, int]]:
    """The tape's messages of the instants [start, stop) that are selected, as frames with their number of messages.

    A bar stands before the first instant that is after its end. With `stop` beyond the last instant, the last bars too.

    Args:
        tape: of one session.
        start: first instant.
        stop: the instant after the last; one more than there are, to have the bars that the close completes.
        selection: what is wanted.
        packed: MessagePack instead of JSON.
        most: messages in one frame.
    """
    messages: list[QuoteMessage | TradeMessage | BarMessage] = []
    last = min(stop, len(tape.instants))
    quotes = _rows(tape, selection.quotes)
    trades = _rows(tape, selection.trades)
    bars = _rows(tape, selection.bars)
    quoted = _quotes(tape, start, last, quotes, packed=packed)
    traded = _trades(tape, start, last, trades, packed=packed)
    known = tape.bars.known_before
    first_bar, past_bar = np.searchsorted(known, start), np.searchsorted(known, stop)
    ready: dict[int, list[BarMessage]] = {}
    for j in range(int(first_bar), int(past_bar) if len(bars) else int(first_bar)):
        ready.setdefault(int(known[j]), []).extend(_bars(tape, j, bars, packed=packed))
    order = np.argsort(np.concatenate([2 * quotes, 2 * trades + 1]), kind="stable").tolist()
    for k in range(start, stop):
        messages.extend(ready.get(k, ()))
        if k < last:
            at = k - start
            instant = [
                *quoted[at * len(quotes) : (at + 1) * len(quotes)],
                *traded[at * len(trades) : (at + 1) * len(trades)],
            ]
            messages.extend([instant[i] for i in order])
    chunks = (messages[i : i + most] for i in range(0, len(messages), most))
    return [(encode(chunk, packed=packed), len(chunk)) for chunk in chunks]


def _rows(tape: Tape, wanted: frozenset[str]) -> np.ndarray[Any, Any]:
    """Numbers of the wanted instruments, ascending."""
    return np.array([i for i, s in enumerate(tape.symbols) if ALL in wanted or s in wanted], dtype=np.int64)


def _quotes(tape: Tape, start: int, stop: int, rows: np.ndarray[Any, Any], *, packed: bool) -> list[QuoteMessage]:
    if not len(rows):
        return []
    part = np.s_[start:stop, rows]
    symbols = [tape.symbols[i] for i in rows] * (stop - start)
    columns = (tape.bid, tape.bid_size, tape.ask, tape.ask_size)
    values = [c[part].ravel().tolist() for c in columns]
    return list(map(QuoteMessage, symbols, *values, times(tape.quote_at[part].ravel(), packed=packed)))


def _trades(tape: Tape, start: int, stop: int, rows: np.ndarray[Any, Any], *, packed: bool) -> list[TradeMessage]:
    if not len(rows):
        return []
    part = np.s_[start:stop, rows]
    symbols = [tape.symbols[i] for i in rows] * (stop - start)
    values = [c[part].ravel().tolist() for c in (tape.trade_id, tape.price, tape.size)]
    return list(map(TradeMessage, symbols, *values, times(tape.trade_at[part].ravel(), packed=packed)))


def _bars(tape: Tape, j: int, rows: np.ndarray[Any, Any], *, packed: bool) -> list[BarMessage]:
    """The bars number `j` of the wanted instruments."""
    bars = tape.bars
    (start,) = times(bars.start[j : j + 1], packed=packed)
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    values = zip(*(c[j, rows].tolist() for c in columns), bars.vwap[j, rows].tolist(), strict=True)
    trades = int(bars.trades[j])
    return [
        BarMessage(tape.symbols[i], o, h, low, c, v, trades, vw, start)
        for i, (o, h, low, c, v, vw) in zip(rows, values, strict=True)
    ]
