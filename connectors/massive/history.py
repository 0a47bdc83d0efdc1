"""Bars of the past from Massive, over REST.

Source: https://massive.com/docs/rest/stocks/aggregates/custom-bars. An instrument a request, up to 50,000 minutes each,
and the address of the next page in the answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection
from typing import Annotated, Final
from urllib.parse import quote, urlsplit

import msgspec
import polars as pl
from msgspec import Meta, Struct

from connectors.bar_source import LENGTHS, Resolution
from connectors.batch import BARS
from connectors.rest import Rest, RestError
from connectors.rows import ends, possible_rows
from connectors.ticks import MILLISECOND, milliseconds_column

REST: Final = "https://api.massive.com"
PER_MINUTE: Final = 5.0
"""Requests a minute on the free plan; paid ones have no bound."""

_SPANS: Final[dict[Resolution, str]] = {"1m": "minute", "1d": "day"}


class _Bar(Struct):
    t: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    o: float
    h: float
    l: float  # noqa: E741 - the vendor's name
    c: float
    v: float


class _Page(Struct):
    results: list[_Bar] | None = None
    next_url: str | None = None


class MassiveBars:
    """Massive's aggregates; :class:`~connectors.bar_source.BarSource`.

    Args:
        rest: A client with :data:`REST` (or another address), :func:`headers` and the plan's rate.
        adjusted: Whether past prices are adjusted for splits; live prices are not.
    """

    def __init__(self, rest: Rest, *, adjusted: bool = False) -> None:
        self.rejected: Counter[str] = Counter()
        """Bars that cannot be, by cause."""
        self._rest = rest
        self._parameters = {"adjusted": str(adjusted).lower(), "sort": "asc", "limit": "50000"}
        self._decode = msgspec.json.Decoder(_Page).decode

    async def bars(
        self, symbols: Collection[str], start: int, end: int, resolution: Resolution
    ) -> AsyncIterator[pl.DataFrame]:
        """A frame a page; see :class:`~connectors.bar_source.BarSource`."""
        if end <= start:
            return
        first, last = -(-start // MILLISECOND), (end - 1) // MILLISECOND  # the vendor's end is inclusive
        for symbol in sorted(symbols):
            path = f"/v2/aggs/ticker/{quote(symbol, safe='')}/range/1/{_SPANS[resolution]}/{first}/{last}"
            parameters: dict[str, str] | None = self._parameters
            pages: set[str] = set()
            while True:
                page = self._page(await self._rest.get(path, parameters))
                frame = self._frame(symbol, page, LENGTHS[resolution])
                if frame.height:
                    yield frame
                if not page.next_url:
                    break
                path, parameters = following(page.next_url), None
                if path in pages:
                    raise RestError("the vendor names the same page as the next one, again and again")
                pages.add(path)

    def _page(self, content: bytes) -> _Page:
        try:
            page: _Page = self._decode(content)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise RestError(f"the vendor's bars cannot be read: {error}") from error
        return page

    def _frame(self, symbol: str, page: _Page, length: int) -> pl.DataFrame:
        rows = page.results or []
        if not rows:
            return pl.DataFrame(schema=BARS)
        starts = milliseconds_column([bar.t for bar in rows])
        numbers = {
            "open": [bar.o for bar in rows],
            "high": [bar.h for bar in rows],
            "low": [bar.l for bar in rows],
            "close": [bar.c for bar in rows],
            "volume": [bar.v for bar in rows],
        }
        return possible_rows(starts, [symbol] * len(rows), numbers, self.rejected, [ends(starts, length)]).select(
            BARS.names()
        )


def following(address: str) -> str:
    """Path and query only: whatever host the answer names, the key goes to the configured one."""
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise RestError(f"the vendor's address of the next page cannot be read: {error}") from error
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def headers(key: str) -> dict[str, str]:
    """What signs a request."""
    return {"Authorization": f"Bearer {key}"}
