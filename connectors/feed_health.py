"""How a feed's connection is doing, in counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from connectors.feed import FeedStatus
from connectors.refused import RefusedFrames


@dataclass(slots=True)
class FeedHealth:
    """How a feed is doing. Times are nanoseconds UTC of this machine; counts are since the start."""

    feed: str
    status: FeedStatus = FeedStatus.CONNECTING
    since: int = 0
    """When `status` began."""
    connections: int = 0
    """Lines opened."""
    reconnects: int = 0
    """Attempts after the first."""
    silences: int = 0
    renewals: int = 0
    """Lines replaced before the vendor ended them; no reconnects."""
    gaps: int = 0
    """Messages that are missing, as the vendor numbers them."""
    gaps_of: Counter[str] = field(default_factory=Counter)
    """The same by instrument, where the vendor numbers them so."""
    offline: set[str] = field(default_factory=set)
    """Sources behind the line that have gone."""
    frames: int = 0
    bytes: int = 0
    rows: int = 0
    """Market data rows of all kinds."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Messages that could not be read, by cause."""
    unreadable: RefusedFrames = field(default_factory=RefusedFrames)
    """Some frames with such messages."""
    unused: Counter[str] = field(default_factory=Counter)
    """Messages that were understood and have no place in a batch, by kind."""
    errors: Counter[str] = field(default_factory=Counter)
    """Errors the vendor reported, by code."""
    last_error: str = ""
    """What went wrong last, in one line."""
    last_data_at: int | None = None
    """When market data arrived last."""
