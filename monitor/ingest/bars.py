"""Bars that are sent again. A bar sent again with other values is a correction, and passes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.ingest.instruments import ByInstrument, Codes, Known
from monitor.ingest.rejects import Cause
from monitor.ingest.values import Verdict, number


class BarFilter:
    """Judges bars against the instrument's last one."""

    def __init__(self) -> None:
        self._known = Known(fingerprint=0)

    def judge(self, frame: pl.DataFrame, codes: Codes) -> Verdict:
        """The verdict on each bar."""
        self._known.cover(codes)
        groups = ByInstrument(codes)
        fingerprints: npt.NDArray[np.int64] = frame.hash_rows().to_numpy().view(np.int64)[groups.order]
        verdict = np.zeros(len(codes), dtype=np.uint8)
        repeats = fingerprints == groups.previous(fingerprints, self._known["fingerprint"])
        verdict[groups.order[repeats]] = number(Cause.DUPLICATE)
        lasts = groups.lasts()
        self._known["fingerprint"][groups.codes[lasts]] = fingerprints[lasts]
        return verdict
