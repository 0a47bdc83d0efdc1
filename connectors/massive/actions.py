"""Splits and dividends from Massive, over REST.

Source: https://massive.com/docs/rest/stocks/corporate-actions (splits, dividends). An instrument and a kind a request.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Collection
from typing import Annotated, Final

import msgspec
import polars as pl
from msgspec import Meta, Struct, field

from connectors.action_source import Row, dividend, frame, split
from connectors.massive.history import following
from connectors.rest import Rest, RestError

Positive = Annotated[float, Meta(gt=0)]


class _Split(Struct):
    ticker: str
    execution_date: dt.date
    split_from: Positive
    split_to: Positive

    def row(self) -> Row:
        return split(self.execution_date, self.ticker, self.split_to, self.split_from)


class _Dividend(Struct):
    ticker: str
    ex_dividend_date: dt.date
    cash_amount: Positive

    def row(self) -> Row:
        return dividend(self.ex_dividend_date, self.ticker, self.cash_amount)


class _Splits(Struct):
    results: list[_Split] = field(default_factory=list)
    next_url: str | None = None


class _Dividends(Struct):
    results: list[_Dividend] = field(default_factory=list)
    next_url: str | None = None


_KINDS: Final[tuple[tuple[str, str, type[_Splits | _Dividends]], ...]] = (
    ("/v3/reference/splits", "execution_date", _Splits),
    ("/v3/reference/dividends", "ex_dividend_date", _Dividends),
)


class MassiveActions:
    """Massive's corporate actions; :class:`~connectors.action_source.ActionSource`. `rest`: as for its bars."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def actions(self, symbols: Collection[str], first: dt.date, last: dt.date) -> AsyncIterator[pl.DataFrame]:
        """A frame a page; see :class:`~connectors.action_source.ActionSource`."""
        for symbol in sorted(symbols):
            for address, date, kind in _KINDS:
                path = address
                parameters: dict[str, str] | None = {
                    "ticker": symbol,
                    f"{date}.gte": first.isoformat(),
                    f"{date}.lte": last.isoformat(),
                    "limit": "1000",
                }
                pages: set[str] = set()
                while True:
                    page = _page(await self._rest.get(path, parameters), kind)
                    yield frame(found.row() for found in page.results)
                    if not page.next_url:
                        break
                    path, parameters = following(page.next_url), None
                    if path in pages:
                        raise RestError("the vendor names the same page as the next one, again and again")
                    pages.add(path)


def _page(content: bytes, kind: type[_Splits | _Dividends]) -> _Splits | _Dividends:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise RestError(f"the vendor's corporate actions cannot be read: {error}") from error
