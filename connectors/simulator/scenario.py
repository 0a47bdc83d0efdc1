"""What the simulated exchange plays: daily closes that were decided beforehand, and the intraday tape between them.

A :class:`Scenario` is a matrix of daily closes and a way to draw each session's path from one close to the next. Its
first sessions are history (closes only), the others are played. Everything follows from the seed, session by session,
so tapes can be drawn in any order, and again, with the same result.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DECIMALS: Final = 4
"""Of every price, so that a calibration in basis points survives the rounding at 40 dollars as well."""

SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND

_LEAD: Final = 1_000_000
"""Nanoseconds between one instrument's quote and the next one's, inside an instant."""
_QUOTE_TO_TRADE: Final = 500_000
"""Nanoseconds from a quote to the trade at its mid; less than `_LEAD`, so that a tape is sorted by time."""
_HALF_SPREAD: Final = (0.00005, 0.0001)
"""Bounds of (ask - bid) / 2 as a share of the price: quotes are 1 to 2 bp wide."""
_GAP: Final = 0.25
"""Share of a session's move that is there at the open."""
_PATH_NOISE: Final = 0.2
"""Noise of the intraday path, as a share of an instrument's daily noise: too little to make a session look unusual."""


class Session(NamedTuple):
    """One session of an exchange: its date, and the times it opens and closes, in nanoseconds UTC."""

    date: dt.date
    open: int
    close: int


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """How far instruments wander from day to day, in log returns; each array is (instruments,) float64.

    `market` is the standard deviation of the market's return, `beta` each instrument's share in it, `own` the rest.
    """

    market: float
    beta: Floats
    own: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """The quotes and trades of one session: at each of n instants, a quote and then a trade of each of m instruments.

    Arrays are (n, m) unless said otherwise: prices in dollars (float64), sizes in shares, times in nanoseconds UTC.
    An instant is a whole second, and its quotes and trades lie in the second before it; the last instant is the close.
    """

    session: Session
    symbols: tuple[str, ...]
    instants: Integers
    """(n,)"""
    quote_at: Integers
    trade_at: Integers
    bid: Floats
    ask: Floats
    bid_size: Integers
    ask_size: Integers
    price: Floats
    size: Integers
    trade_id: Integers
    bars: MinuteBars


@dataclass(frozen=True, slots=True, eq=False)
class MinuteBars:
    """The minute bars of a tape's trades: arrays are (minutes with trades, instruments), prices in dollars.

    Bar `j` starts at `start[j]` and is known before the instant number `known_before[j]`; where that is the number of
    instants, after the last one.
    """

    start: Integers
    known_before: Integers
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Integers
    trades: Integers
    """(minutes,): as many for every instrument"""
    vwap: Floats

    @classmethod
    def of(cls, instants: Integers, price: Floats, size: Integers) -> MinuteBars:
        """The bars of trades at `price` and `size` (n, m) in the seconds before `instants` (n,)."""
        minute = (instants - 1) // MINUTE
        first = np.flatnonzero(np.diff(minute, prepend=minute[0] - 1))
        last = np.append(first[1:], len(minute)) - 1
        start = minute[first] * MINUTE
        volume = np.add.reduceat(size, first, axis=0)
        return cls(
            start=start,
            known_before=np.searchsorted(instants, start + MINUTE, side="right").astype(np.int64),
            open=price[first],
            high=np.maximum.reduceat(price, first, axis=0),
            low=np.minimum.reduceat(price, first, axis=0),
            close=price[last],
            volume=volume,
            trades=last - first + 1,
            vwap=np.round(np.add.reduceat(price * size, first, axis=0) / volume, DECIMALS),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """Daily closes and the tapes between them.

    `closes` is (sessions, instruments), in dollars. The first `past` sessions are history; the others are played. The
    first `story` of those are what the scenario is about: whoever shows it may want to slow down afterwards.
    """

    name: str
    seed: int
    symbols: tuple[str, ...]
    sessions: tuple[Session, ...]
    past: int
    story: int
    closes: Floats
    noise: Noise

    def __post_init__(self) -> None:
        if not 0 < self.past < len(self.sessions):
            raise ValueError(
                f"{self.name}: {self.past} of {len(self.sessions)} sessions are history; need some to play as well"
            )
        if self.closes.shape != (len(self.sessions), len(self.symbols)):
            raise ValueError(
                f"{self.name}: closes have shape {self.closes.shape}, "
                f"expected {len(self.sessions)} sessions x {len(self.symbols)} instruments"
            )

    @property
    def played(self) -> Sequence[Session]:
        """The sessions that are played, in order."""
        return self.sessions[self.past :]

    def history(self) -> pl.DataFrame:
        """Closes before the first session played: columns ts (Date), symbol, close; sorted by ts."""
        return self._frame(slice(0, self.past))

    def outcome(self) -> pl.DataFrame:
        """Closes of the sessions played, as they will turn out; same columns as :meth:`history`."""
        return self._frame(slice(self.past, None))

    def tape(self, number: int, steps: int) -> Tape:
        """The session number `number` of those played, from 0, in `steps` instants after the one right after the open.

        Args:
            number: which of :attr:`played`.
            steps: instants are spread evenly, by whole seconds, from one second after the open to the close.

        Raises:
            ValueError: more steps than seconds between open and close, or none.
            IndexError: there is no such session.
        """
        if not 0 <= number < len(self.played):
            raise IndexError(f"{self.name} plays {len(self.played)} sessions, counted from 0; there is no {number}")
        session = self.played[number]
        instants = _instants(session, steps)
        rng = np.random.default_rng([self.seed, number])
        at = self.past + number
        price = self._path(rng, self.closes[at - 1], self.closes[at], len(instants))
        shape = price.shape
        half = price * rng.uniform(*_HALF_SPREAD, size=shape)
        size = rng.integers(1, 500, size=shape)
        order = (np.arange(shape[1]) - shape[1]) * _LEAD
        return Tape(
            session=session,
            symbols=self.symbols,
            instants=instants,
            quote_at=instants[:, None] + order,
            trade_at=instants[:, None] + order + _QUOTE_TO_TRADE,
            bid=np.round(price - half, DECIMALS),
            ask=np.round(price + half, DECIMALS),
            bid_size=rng.integers(1, 50, size=shape),
            ask_size=rng.integers(1, 50, size=shape),
            price=price,
            size=size,
            trade_id=self._trade_ids(number, shape),
            bars=MinuteBars.of(instants, price, size),
        )

    def _path(self, rng: np.random.Generator, before: Floats, close: Floats, instants: int) -> Floats:
        """Prices (instants, instruments) from the open's gap to `close`: a line in logarithms, and noise."""
        move = np.log(close / before)
        market = _bridge(rng, instants, 1) * self.noise.market * self.noise.beta
        own = _bridge(rng, instants, len(close)) * self.noise.own
        share = np.linspace(_GAP, 1.0, instants)[:, None]
        price = np.round(before * np.exp(share * move + _PATH_NOISE * (market + own)), DECIMALS)
        price[-1] = close
        return price

    def _trade_ids(self, number: int, shape: tuple[int, int]) -> Integers:
        """Ids that no two trades of the scenario share: a range of 10 million for each session."""
        return number * 10_000_000 + np.arange(1, shape[0] * shape[1] + 1, dtype=np.int64).reshape(shape)

    def _frame(self, rows: slice) -> pl.DataFrame:
        dates = [s.date for s in self.sessions[rows]]
        return pl.DataFrame(
            {
                "ts": pl.Series(dates, dtype=pl.Date).repeat_by(len(self.symbols)).explode(empty_as_null=False),
                "symbol": list(self.symbols) * len(dates),
                "close": self.closes[rows].ravel(),
            },
            schema={"ts": pl.Date, "symbol": pl.String, "close": pl.Float64},
        )


def _instants(session: Session, steps: int) -> Integers:
    """Whole seconds from one after the open to the close, (steps + 1,), each different."""
    seconds = (session.close - session.open) // SECOND
    if not 1 <= steps < seconds:
        raise ValueError(f"a session of {seconds} s cannot be played in {steps} steps: between 1 and {seconds - 1}")
    return session.open + np.linspace(1, seconds, steps + 1).astype(np.int64) * SECOND


def _bridge(rng: np.random.Generator, instants: int, paths: int) -> Floats:
    """Brownian bridges over one unit of time, (instants, paths), zero at both ends."""
    walk = rng.standard_normal((instants, paths)) / np.sqrt(max(instants - 1, 1))
    walk[0] = 0.0
    walk = np.cumsum(walk, axis=0)
    return np.asarray(walk - np.linspace(0.0, 1.0, instants)[:, None] * walk[-1])
