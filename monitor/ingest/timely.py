"""Rows of one kind that are of the present, with what the filters ask of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.ingest.instruments import Codes
from monitor.ingest.values import Mask


@dataclass(frozen=True, slots=True)
class Timely:
    """A kind's rows that are neither too late nor too early; `keys` is the newest event time of the feed up to each.

    `codes`: the instrument of each; `places`: where it stood among all of them.
    """

    frame: pl.DataFrame
    times: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]
    codes: Codes
    places: npt.NDArray[np.int64]

    def take(self, rows: Mask) -> Timely:
        """Some of the rows."""
        return Timely(self.frame.filter(rows), self.times[rows], self.keys[rows], self.codes[rows], self.places[rows])
