"""Bars of the past from Alpaca, over REST.

Source: https://docs.alpaca.markets/reference/stockbars. Pages of up to 10,000 bars, sorted by symbol and then by time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec
import polars as pl
from msgspec import Struct

from connectors.bar_source import LENGTHS, Resolution
from connectors.batch import BARS
from connectors.rest import Rest, RestError
from connectors.rows import ends, possible_rows
from connectors.timestamps import SECOND, rfc3339_column

Adjustment = Literal["raw", "split", "dividend", "all"]

REST: Final = "https://data.alpaca.markets"
PER_MINUTE: Final = 200.0
"""Requests a minute on the free plan."""

_TIMEFRAMES: Final[dict[Resolution, str]] = {"1m": "1Min", "1d": "1Day"}
_LONGEST_LIST: Final = 6_000
"""Characters of symbols in one request: beyond 8,000 of address, servers refuse."""


class _Bar(Struct):
    t: str
    o: float
    h: float
    l: float  # noqa: E741 - the vendor's name
    c: float
    v: float


class _Page(Struct):
    bars: dict[str, list[_Bar]] | None = None
    next_page_token: str | None = None


class AlpacaBars:
    """Alpaca's bars; :class:`~connectors.bar_source.BarSource`.

    Args:
        rest: A client with :data:`REST` (or another address), :func:`headers` and the plan's rate.
        source: ``iex`` is one venue and free, ``sip`` all of them.
        adjustment: Of past prices for splits and dividends; live prices are ``raw``.
    """

    def __init__(
        self, rest: Rest, *, source: Literal["iex", "sip", "otc"] = "iex", adjustment: Adjustment = "raw"
    ) -> None:
        self.rejected: Counter[str] = Counter()
        """Bars that cannot be, by cause."""
        self._rest = rest
        self._parameters = {"feed": source, "adjustment": adjustment, "limit": "10000", "sort": "asc"}
        self._decode = msgspec.json.Decoder(_Page).decode

    async def bars(
        self, symbols: Collection[str], start: int, end: int, resolution: Resolution
    ) -> AsyncIterator[pl.DataFrame]:
        """A frame a page; see :class:`~connectors.bar_source.BarSource`."""
        if end <= start:
            return
        for part in lists(sorted(symbols)):
            parameters = {
                **self._parameters,
                "symbols": ",".join(part),
                "timeframe": _TIMEFRAMES[resolution],
                "start": _text(start),
                "end": _text(end - 1),  # the vendor's end is inclusive
            }
            tokens: set[str] = set()
            while True:
                page = self._page(await self._rest.get("/v2/stocks/bars", parameters))
                frame = self._frame(page, LENGTHS[resolution])
                if frame.height:
                    yield frame
                if not page.next_page_token:
                    break
                if page.next_page_token in tokens:
                    raise RestError("the vendor names the same page as the next one, again and again")
                tokens.add(page.next_page_token)
                parameters["page_token"] = page.next_page_token

    @staticmethod
    def _decode_error(error: Exception) -> RestError:
        return RestError(f"the vendor's bars cannot be read: {error}")

    def _page(self, content: bytes) -> _Page:
        try:
            page: _Page = self._decode(content)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise self._decode_error(error) from error
        return page

    def _frame(self, page: _Page, length: int) -> pl.DataFrame:
        rows = [(symbol, bar) for symbol, bars in sorted((page.bars or {}).items()) for bar in bars or ()]
        if not rows:
            return pl.DataFrame(schema=BARS)
        starts = rfc3339_column([bar.t for _, bar in rows])
        numbers = {
            "open": [bar.o for _, bar in rows],
            "high": [bar.h for _, bar in rows],
            "low": [bar.l for _, bar in rows],
            "close": [bar.c for _, bar in rows],
            "volume": [bar.v for _, bar in rows],
        }
        return possible_rows(
            starts, [symbol for symbol, _ in rows], numbers, self.rejected, [ends(starts, length)]
        ).select(BARS.names())


def headers(key: str, secret: str) -> dict[str, str]:
    """What signs a request."""
    return {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}


def lists(symbols: list[str]) -> Iterator[list[str]]:
    """The symbols in lists that fit into an address."""
    part: list[str] = []
    room = _LONGEST_LIST
    for symbol in symbols:
        if len(symbol) + 1 > room and part:
            yield part
            part, room = [], _LONGEST_LIST
        part.append(symbol)
        room -= len(symbol) + 1
    if part:
        yield part


def _text(ns: int) -> str:
    """RFC 3339 with nanoseconds."""
    seconds, rest = divmod(ns, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
