"""Small numbers for symbols, and columns of what is known of each instrument."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.state.symbols import SymbolIndex

Codes = npt.NDArray[np.uint32]

LONG_AGO: Final = -(2**63)
"""An event time before every other."""


class Instruments:
    """Symbols and their codes, which are small, do not change while this object lives, and mean nothing outside it."""

    def __init__(self) -> None:
        self._index = SymbolIndex()

    def symbols(self) -> list[str]:
        """All symbols, by code."""
        return self._index.symbols()

    def codes(self, symbols: pl.Series) -> Codes:
        """The code of each symbol, giving new ones where needed. No symbol is null."""
        return self._index.codes_of(symbols).astype(np.uint32)


class Known:
    """Columns indexed by code, which grow as codes do.

    `unknown` names each column and the value of an instrument never seen.
    """

    def __init__(self, **unknown: float) -> None:
        self._unknown = unknown
        self._columns: dict[str, npt.NDArray[Any]] = {name: np.full(256, value) for name, value in unknown.items()}

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._columns[name]

    def cover(self, codes: Codes) -> None:
        """Make room for these codes."""
        size, needed = len(next(iter(self._columns.values()))), int(codes.max(initial=0)) + 1
        if needed <= size:
            return
        for name, value in self._unknown.items():
            column = np.full(max(needed, 2 * size), value)
            column[:size] = self._columns[name]
            self._columns[name] = column


class ByInstrument:
    """A batch's rows grouped by instrument, in arrival order within each group.

    `order`: row numbers, group after group; `codes`: the instrument of each of them; `starts`: whether a group starts
    there; `distinct`: the instruments, sorted.
    """

    def __init__(self, codes: Codes) -> None:
        # A stable sort of 16 bits is a radix sort, three times as fast.
        narrow = codes.astype(np.uint16) if codes.max(initial=0) <= np.iinfo(np.uint16).max else codes
        self.order = np.argsort(narrow, kind="stable")
        self.codes = codes[self.order]
        self.starts = np.ones(len(codes), dtype=np.bool_)
        np.not_equal(self.codes[1:], self.codes[:-1], out=self.starts[1:])
        self.distinct = self.codes[self.starts]

    def previous(self, ordered: npt.NDArray[Any], before: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The value in the row before of the same instrument; for its first row, what `before` has at its code."""
        shifted = np.empty_like(ordered)
        shifted[1:] = ordered[:-1]
        shifted[self.starts] = before[self.distinct]
        return shifted

    def lasts(self) -> npt.NDArray[np.int64]:
        """Where in this order the last row of each instrument stands."""
        return np.append(np.flatnonzero(self.starts), len(self.codes))[1:] - 1

    def span(self, code: int) -> tuple[int, int]:
        """Where in this order an instrument's rows start and end."""
        return int(np.searchsorted(self.codes, code)), int(np.searchsorted(self.codes, code, "right"))

    def rows_of(self, code: int) -> npt.NDArray[np.int64]:
        """The row numbers of one instrument, in arrival order."""
        return self.order[slice(*self.span(code))]
