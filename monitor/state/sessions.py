"""Closes and opens of past sessions, and volumes where they are asked for, by session ordinal."""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.state.columns import Codes, Floats, Ints

_SPARE_ROWS: Final = 16


class SessionPrices:
    """Rows of sessions ``first <= s < stop``, all instruments wide; NaN where an instrument did not trade.

    `closes`: (rows, width) float64, the last price of the session at or before its close. `opens`: the same shape, the
    first price of regular trading. `volumes`: the same, NaN where it is not known; None until :meth:`keep_volumes`.
    """

    def __init__(self, width: int) -> None:
        self.first = 0
        self.stop = 0
        self._origin = 0
        self.closes = np.full((0, width), np.nan)
        self.opens = np.full((0, width), np.nan)
        self.volumes: Floats | None = None

    def __contains__(self, session: int) -> bool:
        return self.first <= session < self.stop

    def __len__(self) -> int:
        return self.stop - self.first

    @property
    def begun(self) -> bool:
        """Whether there ever was a row; if so, history reaches back to `first`, be there a row left or not."""
        return self.stop > 0

    @property
    def nbytes(self) -> int:
        """Bytes of all rows, used or not."""
        volumes = 0 if self.volumes is None else self.volumes.nbytes
        return self.closes.nbytes + self.opens.nbytes + volumes

    def close(self, session: int) -> Floats:
        """Closes of a stored session, shape (width,): a view, not a copy."""
        row: Floats = self.closes[session - self._origin]
        return row

    def open(self, session: int) -> Floats:
        """Opens of a stored session, shape (width,): a view, not a copy."""
        row: Floats = self.opens[session - self._origin]
        return row

    def keep_volumes(self) -> None:
        """Keep volumes from now on."""
        if self.volumes is None:
            self.volumes = np.full(self.closes.shape, np.nan)

    def volumes_of(self, first: int, last: int, index: Codes) -> Floats:
        """Volumes of the stored ones of the sessions `first` to `last`, shape (sessions, index)."""
        start, stop = max(first, self.first), min(last + 1, self.stop)
        if self.volumes is None or stop <= start:
            return np.empty((0, len(index)))
        found: Floats = self.volumes[start - self._origin : stop - self._origin, index]
        return found

    def include(self, first: int, last: int) -> None:
        """Make sessions `first` to `last`, and all between them and the stored ones, rows; new ones are unknown."""
        start = min(first, self.first) if self.begun else first
        stop = max(last + 1, self.stop) if self.begun else last + 1
        if start < self._origin or stop > self._origin + len(self.closes):
            self._rebuild(start, stop, self.closes.shape[1])
        self.first, self.stop = start, stop

    def put(self, sessions: Ints, codes: Codes, closes: Floats, opens: Floats, volumes: Floats) -> None:
        """Store single values, one an entry of the arrays. A volume that is NaN leaves what is stored."""
        self.include(int(sessions.min()), int(sessions.max()))
        rows = sessions - self._origin
        self.closes[rows, codes] = closes
        self.opens[rows, codes] = opens
        if self.volumes is not None:
            known = ~np.isnan(volumes)
            self.volumes[rows[known], codes[known]] = volumes[known]

    def put_volumes(self, session: int, codes: Codes, volumes: Floats) -> None:
        """Volumes of one stored session; those that are known already stay."""
        if self.volumes is not None:
            row = self.volumes[session - self._origin]
            row[codes] = np.where(np.isnan(row[codes]), volumes, row[codes])

    def scale_volumes(self, before: int, code: int, factor: float) -> None:
        """Multiply an instrument's volumes of the sessions before an ordinal."""
        if self.volumes is not None:
            self.volumes[self.first - self._origin : min(before, self.stop) - self._origin, code] *= factor

    def add_volume(self, session: int, code: int, volume: float) -> None:
        """Count more, or less, of an instrument in a stored session; what is not known stays so."""
        if self.volumes is not None:
            row = self.volumes[session - self._origin]
            row[code] = np.maximum(row[code] + volume, 0.0)

    def expire(self, before: int) -> None:
        """Forget sessions before an ordinal, but not that there were some: what follows is known to be missing."""
        if self.begun and before > self.first:
            gone = slice(self.first - self._origin, min(before, self.stop) - self._origin)
            self.closes[gone] = np.nan
            self.opens[gone] = np.nan
            if self.volumes is not None:
                self.volumes[gone] = np.nan
            self.first, self.stop = before, max(before, self.stop)

    def grow(self, width: int) -> None:
        """Make room for `width` instruments."""
        self._rebuild(self.first, self.stop, width)

    def _rebuild(self, start: int, stop: int, width: int) -> None:
        """Move the rows to arrays that begin with session `start`, with room to go on for a while."""
        rows = stop - start
        shape = (rows + max(_SPARE_ROWS, rows // 8), width)
        closes, opens = np.full(shape, np.nan), np.full(shape, np.nan)
        known = self.closes.shape[1]
        old = slice(self.first - self._origin, self.stop - self._origin)
        new = slice(self.first - start, self.stop - start)
        if self.first < self.stop:
            closes[new, :known] = self.closes[old]
            opens[new, :known] = self.opens[old]
        if self.volumes is not None:
            volumes = np.full(shape, np.nan)
            if self.first < self.stop:
                volumes[new, :known] = self.volumes[old]
            self.volumes = volumes
        self.closes, self.opens, self._origin = closes, opens, start
