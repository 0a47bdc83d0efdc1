"""What every feed hands on: market data in columns.

A :class:`Batch` is one polars frame per kind of data, each with a declared schema; nothing downstream handles single
quotes. Times are UTC, in nanoseconds, and are the vendor's own (*event time*); ``received_at`` is this machine's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import polars as pl

TIME: Final = pl.Datetime("ns", "UTC")

QUOTES: Final = pl.Schema(
    {
        "ts": TIME,
        "symbol": pl.String(),
        "bid": pl.Float64(),
        "ask": pl.Float64(),
        "bid_size": pl.Float64(),
        "ask_size": pl.Float64(),
    }
)
"""Best bid and ask; prices in the instrument's currency, sizes in shares (or units) as the vendor counts them."""

TRADES: Final = pl.Schema(
    {"ts": TIME, "symbol": pl.String(), "price": pl.Float64(), "size": pl.Float64(), "id": pl.Int64()}
)
"""One row a print; ``id`` is the vendor's trade id, null where the vendor has none. A null ``price``: by its conditions
the print sets none (an odd lot, an average price) and is volume alone."""

BARS: Final = pl.Schema(
    {
        "ts": TIME,
        "end": TIME,
        "symbol": pl.String(),
        "open": pl.Float64(),
        "high": pl.Float64(),
        "low": pl.Float64(),
        "close": pl.Float64(),
        "volume": pl.Float64(),
    }
)
"""One row a bar, covering ``[ts, end)``; it is known, and its close is the price, at ``end``."""

STATUSES: Final = pl.Schema({"ts": TIME, "symbol": pl.String(), "code": pl.String(), "reason": pl.String()})
"""Trading halts and resumptions, codes as the vendor gives them."""

BANDS: Final = pl.Schema(
    {"ts": TIME, "symbol": pl.String(), "lower": pl.Float64(), "upper": pl.Float64(), "indicator": pl.String()}
)
"""Limit up, limit down: the band a price may trade in from `ts` on; `indicator` as the vendor gives it."""

CORRECTIONS: Final = pl.Schema(
    {
        "ts": TIME,
        "symbol": pl.String(),
        "kind": pl.String(),
        "id": pl.Int64(),
        "price": pl.Float64(),
        "size": pl.Float64(),
        "new_id": pl.Int64(),
        "new_price": pl.Float64(),
        "new_size": pl.Float64(),
    }
)
"""What became of a print: `kind` is ``correction``, ``cancel`` or ``error`` (it never was); ``id, price, size`` are
those of the print. The new ones replace them; null, and NaN for numbers, where nothing does."""

SERIES: Final = pl.Schema({"ts": TIME, "series": pl.String(), "value": pl.Float64()})
"""Values from elsewhere, such as a yield: `ts` is when one was published, from which on it is known, until the next."""

SCHEMAS: Final[Mapping[str, pl.Schema]] = {
    "quotes": QUOTES,
    "trades": TRADES,
    "bars": BARS,
    "statuses": STATUSES,
    "bands": BANDS,
    "corrections": CORRECTIONS,
    "series": SERIES,
}


class NoticeKind(StrEnum):
    """What a control message of a feed says, in the words the supervisor acts on."""

    CONNECTED = "connected"
    AUTHENTICATED = "authenticated"
    SUBSCRIBED = "subscribed"
    HEARTBEAT = "heartbeat"
    """The vendor is there and has nothing to say: no silence."""
    GAP = "gap"
    """Messages are missing, as the vendor numbers them; what :meth:`Feed.reply` gives asks for the present again."""
    RENEW = "renew"
    """The vendor will end this line soon: open the next one first."""
    OFFLINE = "offline"
    """A source behind the line, named in the text, has gone; others may go on."""
    ONLINE = "online"
    """The source named in the text is back."""
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Notice:
    """A control message of a feed.

    ``code`` is the vendor's error code, where it is an error; ``missing`` how many messages a gap has, ``symbol`` of
    which instrument, where the vendor numbers them so.
    """

    kind: NoticeKind
    text: str = ""
    code: int | str | None = None
    missing: int = 0
    symbol: str = ""


def empty(schema: pl.Schema) -> pl.DataFrame:
    """A frame of the given schema without rows."""
    return pl.DataFrame(schema=schema)


# Making an empty frame costs more than parsing a small one, and frames are never changed in place: batches share these.
_NO_QUOTES: Final = empty(QUOTES)
_NO_TRADES: Final = empty(TRADES)
_NO_BARS: Final = empty(BARS)
_NO_STATUSES: Final = empty(STATUSES)
_NO_BANDS: Final = empty(BANDS)
_NO_CORRECTIONS: Final = empty(CORRECTIONS)
_NO_SERIES: Final = empty(SERIES)


Receipt = Callable[[], None]
"""Tells whoever sent some data that they are kept now. Called on the event loop, once; never raises."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What some frames of one feed said, in arrival order within each kind.

    ``rejected`` counts messages that could not be read, by cause; ``unused`` those that were understood and that no
    frame has a place for, by kind. Neither are in a frame. ``received_at`` is when the oldest of the frames arrived.
    ``receipts`` are to be called, in order, once the rows are in the journal.
    """

    feed: str
    received_at: int
    quotes: pl.DataFrame = field(default_factory=lambda: _NO_QUOTES)
    trades: pl.DataFrame = field(default_factory=lambda: _NO_TRADES)
    bars: pl.DataFrame = field(default_factory=lambda: _NO_BARS)
    statuses: pl.DataFrame = field(default_factory=lambda: _NO_STATUSES)
    bands: pl.DataFrame = field(default_factory=lambda: _NO_BANDS)
    corrections: pl.DataFrame = field(default_factory=lambda: _NO_CORRECTIONS)
    series: pl.DataFrame = field(default_factory=lambda: _NO_SERIES)
    notices: tuple[Notice, ...] = ()
    rejected: Mapping[str, int] = field(default_factory=dict)
    unused: Mapping[str, int] = field(default_factory=dict)
    receipts: tuple[Receipt, ...] = ()

    @property
    def rows(self) -> int:
        """Market data rows of all kinds."""
        return sum(frame.height for frame in self.frames().values())

    def frames(self) -> dict[str, pl.DataFrame]:
        """The market data, by the names of :data:`SCHEMAS`."""
        return {
            "quotes": self.quotes,
            "trades": self.trades,
            "bars": self.bars,
            "statuses": self.statuses,
            "bands": self.bands,
            "corrections": self.corrections,
            "series": self.series,
        }

    @staticmethod
    def merge(batches: Sequence[Batch]) -> Batch:
        """One batch of several of the same feed, rows in order, counts added, the oldest ``received_at``."""
        if len(batches) == 1:
            return batches[0]
        rejected: Counter[str] = Counter()
        unused: Counter[str] = Counter()
        for batch in batches:
            rejected.update(batch.rejected)
            unused.update(batch.unused)
        return Batch(
            feed=batches[-1].feed,
            received_at=batches[0].received_at,
            quotes=_stack([b.quotes for b in batches]),
            trades=_stack([b.trades for b in batches]),
            bars=_stack([b.bars for b in batches]),
            statuses=_stack([b.statuses for b in batches]),
            bands=_stack([b.bands for b in batches]),
            corrections=_stack([b.corrections for b in batches]),
            series=_stack([b.series for b in batches]),
            notices=tuple(n for b in batches for n in b.notices),
            rejected=dict(rejected),
            unused=dict(unused),
            receipts=tuple(r for b in batches for r in b.receipts),
        )


def _stack(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The frames' rows one after the other; skipping empty ones keeps the common case free of copies."""
    every = list(frames)
    filled = [f for f in every if f.height]
    if not filled:
        return every[0]
    stacked = filled[0]
    for frame in filled[1:]:
        stacked = stacked.vstack(frame)  # a third of the cost of pl.concat, which goes through polars' thread pool
    return stacked
