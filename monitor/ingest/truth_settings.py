"""What the truth filter believes, and how far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TruthSettings:
    """Bounds of belief.

    `lateness_ns`: how far behind its feed's watermark a row may be. `future_ns`: how far ahead of the wall clock.
    `trade_jump`, `quote_jump`: the factor between prices that one print, or one quote, is not believed for by itself,
    until the instrument's usual moves say less; both above 1. `recent_trades`: how many trades of the lateness window
    are remembered at most, 16 bytes each, to know one that is sent again. `earliest_ns`, `latest_ns`: the calendar's
    ends, outside of which no time is believed. `closes`: of its sessions, UTC ns, for data whose time is their own.
    `feeds`: their names, the best one first. `recorded`: the data are whole and in order of time, as in a file, where a
    row far from all others is a gap and not a wrong stamp.
    """

    lateness_ns: int = 30 * _SECOND
    future_ns: int = 5 * _SECOND
    trade_jump: float = 1.2
    quote_jump: float = 10.0
    recent_trades: int = 1_000_000
    earliest_ns: int = 0
    latest_ns: int = 2**63 - 1
    feeds: tuple[str, ...] = ()
    closes: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    recorded: bool = False
