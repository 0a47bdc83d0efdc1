"""Which print a correction or cancellation is of: by the vendor's id, where it gives one, of the prints let through.

What is found is written as the filter passed it on, with the time of the print, so that the state changes what that
print made and nothing that another made at the same price. One that was not seen, or has been forgotten, loses its id:
the state then goes by its price.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.calendar import MINUTE
from monitor.ingest.clean_batch import nanoseconds
from monitor.ingest.instruments import Codes
from monitor.ingest.recent_prints import fingerprints
from monitor.ingest.values import Floats, Mask

KEPT: Final = 1 << 18
"""Prints remembered, 40 bytes each: of a busy feed those of some minutes, which is when most are taken back."""


class KnownPrints:
    """The last prints with an id, of all instruments: one ring of columns, the newest over the oldest."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._keys = np.zeros(min(kept, 1024), dtype=np.uint64)
        self._codes = np.zeros(len(self._keys), dtype=np.uint32)
        self._times = np.zeros(len(self._keys), dtype=np.int64)
        self._prices, self._sizes = np.zeros(len(self._keys)), np.zeros(len(self._keys))
        self._gone = np.zeros(len(self._keys), dtype=np.bool_)
        self._count = 0

    def __len__(self) -> int:
        return min(self._count, self._kept)

    def saw(self, codes: Codes, trades: pl.DataFrame) -> None:
        """Remember trades that were let through."""
        ids = trades["id"]
        if ids.null_count():
            named = ids.is_not_null()
            codes, trades = codes[named.to_numpy()], trades.filter(named)
            ids = trades["id"]
        if trades.height:
            prices, sizes = trades["price"].to_numpy(), trades["size"].to_numpy()
            self._add(fingerprints(codes, ids.to_numpy()), codes, nanoseconds(trades["ts"]), prices, sizes)

    def resolve(self, codes: Codes, rows: pl.DataFrame) -> tuple[pl.DataFrame, Mask]:
        """The rows (:data:`connectors.batch.CORRECTIONS`) as they are about known prints; which take back one again.

        A found one has the time, price and size of its print; a price that another print of that minute had as well is
        unknown: it stands. One not found has no id.
        """
        again = np.zeros(rows.height, dtype=np.bool_)
        times, found = nanoseconds(rows["ts"]).copy(), np.zeros(rows.height, dtype=np.bool_)
        prices, sizes = (rows[name].to_numpy().copy() for name in ("price", "size"))
        ids, new_ids = rows["id"].to_list(), rows["new_id"].to_list()
        new_prices, new_sizes = rows["new_price"].to_list(), rows["new_size"].to_list()
        for row in np.flatnonzero(rows["id"].is_not_null().to_numpy()).tolist():
            code = codes[row : row + 1]
            at = self._find(code, ids[row])
            if at is None:
                continue
            if self._gone[at]:
                again[row] = True
                continue
            self._gone[at] = found[row] = True
            times[row], sizes[row] = self._times[at], self._sizes[at]
            prices[row] = np.nan if self._others(at) else self._prices[at]
            if new_ids[row] is not None:
                key = fingerprints(code, np.array([new_ids[row]], dtype=np.int64))
                new = (np.array([float("nan") if v is None else v]) for v in (new_prices[row], new_sizes[row]))
                self._add(key, code, times[row : row + 1], *new)
        resolved = rows.with_columns(
            ts=pl.Series(times).cast(rows.schema["ts"]),
            id=pl.when(pl.Series(found)).then("id"),
            price=pl.Series(prices),
            size=pl.Series(sizes),
        )
        return resolved.filter(~again), again

    def _find(self, code: Codes, number: int) -> int | None:
        key = fingerprints(code, np.array([number], dtype=np.int64))[0]
        at = np.flatnonzero(self._keys[: len(self)] == key)
        # Ids may come again on another day or venue: the newest is meant.
        newest = (self._count - 1 - at) % self._kept
        return int(at[np.argmin(newest)]) if len(at) else None

    def _others(self, at: int) -> bool:
        """Whether another print of the same instrument, minute and price stands."""
        minute = -(-self._times[at] // MINUTE)
        alike = (-(-self._times[: len(self)] // MINUTE) == minute) & (self._codes[: len(self)] == self._codes[at])
        alike &= (self._prices[: len(self)] == self._prices[at]) & ~self._gone[: len(self)]
        return bool(alike.any())

    def _add(
        self,
        keys: npt.NDArray[np.uint64],
        codes: Codes,
        times: npt.NDArray[np.int64],
        prices: Floats,
        sizes: Floats,
    ) -> None:
        columns = [column[-self._kept :] for column in (keys, codes, times, prices, sizes)]
        count = len(columns[0])
        self._make_room(self._count + count)
        slots = (self._count + np.arange(count)) % self._kept
        own: tuple[npt.NDArray[Any], ...] = (self._keys, self._codes, self._times, self._prices, self._sizes)
        for column, new in zip(own, columns, strict=True):
            column[slots] = new
        self._gone[slots] = False
        self._count += count

    def _make_room(self, rows: int) -> None:
        size = len(self._keys)
        if size >= min(rows, self._kept):
            return
        more = min(self._kept, max(rows, 2 * size)) - size
        self._keys, self._codes = np.pad(self._keys, (0, more)), np.pad(self._codes, (0, more))
        self._times = np.pad(self._times, (0, more))
        self._prices, self._sizes = np.pad(self._prices, (0, more)), np.pad(self._sizes, (0, more))
        self._gone = np.pad(self._gone, (0, more))
