"""Splits, dividends and new symbols from Alpaca, over REST.

Source: https://docs.alpaca.markets/reference/corporateactions-1. Pages of up to 1,000.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Collection
from typing import Annotated, Final

import msgspec
import polars as pl
from msgspec import Meta, Struct, field

from connectors.action_source import dividend, frame, renamed, split
from connectors.alpaca.history import lists
from connectors.rest import Rest, RestError

TYPES: Final = "forward_split,reverse_split,cash_dividend,name_change"

Positive = Annotated[float, Meta(gt=0)]


class _Split(Struct):
    symbol: str
    new_rate: Positive
    old_rate: Positive
    ex_date: dt.date


class _Dividend(Struct):
    symbol: str
    rate: Positive
    ex_date: dt.date


class _Renamed(Struct):
    old_symbol: str
    new_symbol: str
    process_date: dt.date


class _Actions(Struct):
    forward_splits: list[_Split] = field(default_factory=list)
    reverse_splits: list[_Split] = field(default_factory=list)
    cash_dividends: list[_Dividend] = field(default_factory=list)
    name_changes: list[_Renamed] = field(default_factory=list)


class _Page(Struct):
    corporate_actions: _Actions
    next_page_token: str | None = None


class AlpacaActions:
    """Alpaca's corporate actions; :class:`~connectors.action_source.ActionSource`. `rest`: as for its bars."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._decode = msgspec.json.Decoder(_Page).decode

    async def actions(self, symbols: Collection[str], first: dt.date, last: dt.date) -> AsyncIterator[pl.DataFrame]:
        """A frame a page; see :class:`~connectors.action_source.ActionSource`."""
        for part in lists(sorted(symbols)):
            parameters = {
                "symbols": ",".join(part),
                "types": TYPES,
                "start": first.isoformat(),
                "end": last.isoformat(),
                "limit": "1000",
                "sort": "asc",
            }
            tokens: set[str] = set()
            while True:
                page = self._page(await self._rest.get("/v1/corporate-actions", parameters))
                found = page.corporate_actions
                # A company of a new name may keep its symbol.
                changes = [r for r in found.name_changes if r.new_symbol != r.old_symbol]
                yield frame(
                    [
                        *(split(s.ex_date, s.symbol, s.new_rate, s.old_rate) for s in found.forward_splits),
                        *(split(s.ex_date, s.symbol, s.new_rate, s.old_rate) for s in found.reverse_splits),
                        *(dividend(d.ex_date, d.symbol, d.rate) for d in found.cash_dividends),
                        *(renamed(r.process_date, r.old_symbol, r.new_symbol) for r in changes),
                    ]
                )
                if not page.next_page_token:
                    break
                if page.next_page_token in tokens:
                    raise RestError("the vendor names the same page as the next one, again and again")
                tokens.add(page.next_page_token)
                parameters["page_token"] = page.next_page_token

    def _page(self, content: bytes) -> _Page:
        try:
            page: _Page = self._decode(content)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise RestError(f"the vendor's corporate actions cannot be read: {error}") from error
        return page
