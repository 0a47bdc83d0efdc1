"""Halts, resumptions and limit bands: what the tapes' codes mean, and which trades a band refuses."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.ingest.instruments import Codes, Known
from monitor.ingest.values import Floats, Mask

HALT: Final = "halt"
RESUME: Final = "resume"

CODES: Final = {
    # UTP plan (Nasdaq's listings): https://www.utpplan.com/DOC/UtpBinaryOutputSpec.pdf, trading action codes. `Q` lets
    # quotes resume, not trading.
    "H": HALT,
    "P": HALT,
    "T": RESUME,
    # CTA plan (NYSE's and others'): https://www.ctaplan.com, CTS security status.
    "2": HALT,
    "3": RESUME,
    HALT: HALT,
    "halted": HALT,
    "paused": HALT,
    RESUME: RESUME,
    "resumed": RESUME,
    "trading": RESUME,
}
"""Codes of a status, as vendors hand them on, that stop or start trading; of others neither follows."""


def trading_statuses(statuses: pl.DataFrame) -> pl.DataFrame:
    """The rows that halt or resume, their code one of :data:`HALT` and :data:`RESUME`."""
    meaning = statuses["code"].replace_strict(CODES, default=None, return_dtype=pl.String)
    known = meaning.is_not_null()
    return statuses.with_columns(code=meaning).filter(known)


_NEVER: Final = 2**63 - 1
_LONGEST: Final = 8 * 3600 * 10**9
"""How long a band is in force at most, nanoseconds: longer than a session, shorter than the night behind it."""


class Bands:
    """The limit band each instrument may trade in, until the session it was announced in closes.

    `closes`: of sessions, UTC ns, ascending; may be empty.
    """

    def __init__(self, closes: npt.NDArray[np.int64]) -> None:
        self._closes = closes
        self._known = Known(lower=0.0, upper=np.inf, since=0, until=0)
        self.known = False
        """Whether there are any bands."""

    def learn(self, codes: Codes, bands: pl.DataFrame) -> None:
        """Take in bands, in the order they came; one that is no pair of prices lifts the band."""
        self.known = True
        self._known.cover(codes)
        lower, upper = bands["lower"].to_numpy(), bands["upper"].to_numpy()
        good = (lower > 0) & (upper > lower) & np.isfinite(upper)
        self._known["lower"][codes] = np.where(good, lower, 0.0)
        self._known["upper"][codes] = np.where(good, upper, np.inf)
        since = bands["ts"].to_physical().to_numpy()
        self._known["since"][codes] = since
        self._known["until"][codes] = self._ends(since)

    def _ends(self, since: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """When bands of these times are over at the latest."""
        following = np.append(self._closes, _NEVER)[np.searchsorted(self._closes, since, "right")]
        ends: npt.NDArray[np.int64] = np.minimum(following, since + _LONGEST)
        return ends

    def outside(self, codes: Codes, times: np.ndarray[tuple[int], np.dtype[np.int64]], prices: Floats) -> Mask:
        """Which trades are at prices that the band in force did not allow."""
        self._known.cover(codes)
        known = self._known
        refused: Mask = ((prices < known["lower"][codes]) | (prices > known["upper"][codes])) & (
            (times >= known["since"][codes]) & (times <= known["until"][codes])
        )
        return refused
