"""Instruments as small integers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.state.columns import Codes

_WORTH_HASHING: Final = 400
"""Rows from which polars' hash, with its fixed cost of 40 us, beats a dict. At 5,000 rows of 10,000 symbols: 0.15 ms
for the hash, 0.5 for a cast to Categorical, 0.8 for a dict."""


class _Dict(dict[str, int]):
    """Symbol to code; a new symbol gets the next one."""

    def __missing__(self, symbol: str) -> int:
        code = self[symbol] = len(self)
        return code


class SymbolIndex:
    """Symbols in the order they were first seen; a symbol's place in it is its code, its row in every column."""

    def __init__(self) -> None:
        self._codes = _Dict()
        # Open addressing: `_table` holds codes, -1 where it is empty, `_hashes` the hash of each code's symbol. Symbols
        # are told apart by 64 bits; that two of 10,000 share them happens once in 10^11 times.
        self._table: npt.NDArray[np.intp] = np.full(1024, -1, dtype=np.intp)
        self._hashes: npt.NDArray[np.uint64] = np.zeros(256, dtype=np.uint64)
        self._hashed: set[int] = set()
        # Of a categorical type: the code of each category, by polars' own number for it, -1 where it is not known.
        self._by_category: Codes = np.empty(0, dtype=np.intp)
        # The numbers hold as long as some series of the type lives, so this one does.
        self._categories: pl.Series | None = None

    def __len__(self) -> int:
        return len(self._codes)

    def symbols(self) -> list[str]:
        """All symbols, by code."""
        return list(self._codes)

    def codes(self, symbols: Iterable[str]) -> Codes:
        """Code of each symbol; new ones are taken in."""
        return np.fromiter(map(self._codes.__getitem__, symbols), dtype=np.intp)

    def codes_of(self, column: pl.Series) -> Codes:
        """The same for a column of String or Categorical."""
        if column.dtype != pl.String:
            return self._codes_of_categories(column)
        if len(column) < _WORTH_HASHING:
            return self.codes(column.to_list())
        hashes = column.hash().to_numpy()
        codes = self._find(hashes)
        new = np.flatnonzero(codes < 0)
        if len(new):
            codes[new] = self.codes(column.gather(new).to_list())
            self._learn(codes[new], hashes[new])
        return codes

    def _codes_of_categories(self, column: pl.Series) -> Codes:
        if self._categories is None or self._categories.dtype != column.dtype:
            self._categories, self._by_category = column.head(0), np.empty(0, dtype=np.intp)
        numbers = column.to_physical().to_numpy()
        beyond = int(numbers.max(initial=0)) + 1 - len(self._by_category)
        if beyond > 0:
            self._by_category = np.pad(self._by_category, (0, beyond), constant_values=-1)
        codes: Codes = self._by_category[numbers]
        unknown = np.flatnonzero(codes < 0)
        if len(unknown):
            new = unknown[np.sort(np.unique(numbers[unknown], return_index=True)[1])]
            self._by_category[numbers[new]] = self.codes(column.gather(new).cast(pl.String).to_list())
            codes = self._by_category[numbers]
        return codes

    def _find(self, hashes: npt.NDArray[np.uint64]) -> Codes:
        """Code of each hash, -1 where it is not known."""
        last = len(self._table) - 1
        slots = (hashes & np.uint64(last)).astype(np.intp)
        codes = self._table[slots]
        taken = np.flatnonzero((self._hashes[codes] != hashes) & (codes >= 0))
        while len(taken):
            slots[taken] = (slots[taken] + 1) & last
            codes[taken] = found = self._table[slots[taken]]
            taken = taken[(self._hashes[found] != hashes[taken]) & (found >= 0)]
        return codes

    def _learn(self, codes: Codes, hashes: npt.NDArray[np.uint64]) -> None:
        """Remember hashes, keeping the table three quarters empty."""
        if 4 * len(self._codes) > len(self._table):
            size = 1 << (4 * len(self._codes)).bit_length()
            grown = np.zeros(size // 4, dtype=np.uint64)
            grown[: len(self._hashes)] = self._hashes
            known = np.array(sorted(self._hashed), dtype=np.intp)
            self._table, self._hashes = np.full(size, -1, dtype=np.intp), grown
            self._hashed = set()
            self._learn(known, grown[known])
        last = len(self._table) - 1
        for code, value in dict(zip(codes.tolist(), hashes.tolist(), strict=True)).items():
            slot = value & last
            while self._table[slot] >= 0:
                slot = (slot + 1) & last
            self._table[slot] = code
            self._hashes[code] = value
            self._hashed.add(code)
