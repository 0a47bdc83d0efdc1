"""The scenario `great-rotation`: January 2026, as far as its published figures go.

Small caps beat large caps fourteen sessions in a row, by 850 bp together, while no single session stands out; the
Magnificent Seven lose 1.6 %, value beats growth by 600 bp, energy, materials, industrials and staples lead, technology,
communication and banks lag, memory and foundry rise; then one session takes 188 bp back. Before it lies a quiet
history, after it quiet sessions for as long as there are dates.

The figures below are rounded, and the sessions between them are drawn, not recorded.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from connectors.simulator.scenario import DECIMALS, Floats, Noise, Scenario, Session

NAME: Final = "great-rotation"
FIRST_SESSION: Final = dt.date(2026, 1, 2)
HISTORY: Final = 300
"""Fewest sessions before the first: 250 windows of 10 sessions, and some more."""
LEAD_BP: Final = (70, 80, 60, 25, 90, 30, 45, 35, 95, 65, 40, 75, 80, 60)
"""IWM minus SPY, session by session: 850 together, and none far from what is usual in one session."""
QUIET_AFTER: Final = 6
"""Sessions after the reversal that still belong to the story: the 14-session lead shrinks, and alerts resolve."""
STORY: Final = len(LEAD_BP) + 1 + QUIET_AFTER

_BP: Final = 1e-4
_MARKET_BP: Final = 75.0
_MARKET_DRIFT_BP: Final = 4.0
_GROWTH_BP: Final = 45.0
_SIZE_BP: Final = 80.0
"""Standard deviations of one session's log return: the market, growth against value, small against large."""
_MEAN_REVERSION: Final = 0.25
"""Of the size factor: leads are partly given back the next day, and stay smaller than those of a random walk."""
_Z_WINDOW: Final = 60
_FLAT_END: Final = 14
"""The last sessions of the history in which nobody leads, so that windows in sessions start the story near zero."""
_LONGEST_RUN: Final = 5
"""Sessions in a row in which small caps may lead by accident."""
_STORY_NOISE: Final = 0.6
_QUIET_NOISE: Final = 0.6


class Profile(NamedTuple):
    """An instrument: its price when the story starts (dollars), its loads on the factors, and its part in the story.

    `own_bp` is the standard deviation of its own noise in one session; `rotation` (14 sessions) and `reversal` (one)
    are its returns in per cent.
    """

    symbol: str
    price: float
    beta: float
    growth: float
    size: float
    own_bp: float
    rotation: float
    reversal: float


PROFILES: Final = (
    Profile("SPY", 680.0, 1.00, 0.0, 0.0, 0, 1.0, 0.0),
    Profile("QQQ", 614.0, 1.20, 0.8, 0.0, 15, 1.0, 0.3),
    Profile("IWM", 246.0, 1.00, 0.0, 1.0, 0, 9.5, -1.88),
    Profile("IWD", 210.0, 0.85, -0.7, 0.2, 15, 4.5, -0.6),
    Profile("IWF", 473.0, 1.15, 0.7, 0.0, 12, -1.5, 0.5),
    Profile("RSP", 191.0, 0.90, -0.4, 0.4, 15, 4.2, -0.5),
    Profile("AAPL", 272.0, 1.10, 0.6, 0.0, 110, -8.6, -0.1),
    Profile("MSFT", 484.0, 1.00, 0.8, 0.0, 95, -6.7, 3.3),
    Profile("GOOGL", 313.0, 1.10, 0.6, 0.0, 130, 5.6, -0.8),
    Profile("AMZN", 231.0, 1.25, 0.9, 0.0, 130, 1.5, 2.1),
    Profile("NVDA", 187.0, 1.60, 1.2, 0.0, 170, -0.9, 1.5),
    Profile("META", 660.0, 1.20, 0.9, 0.0, 150, -1.9, 1.7),
    Profile("TSLA", 450.0, 1.70, 0.8, 0.2, 260, -0.1, -0.1),
    Profile("XLB", 45.0, 0.90, -0.5, 0.4, 65, 9.2, 0.9),
    Profile("XLC", 118.0, 1.00, 0.4, 0.0, 55, -1.2, 0.6),
    Profile("XLE", 44.7, 0.70, -0.7, 0.3, 110, 9.4, 0.6),
    Profile("XLF", 54.8, 0.90, -0.6, 0.3, 55, -1.8, -1.4),
    Profile("XLI", 155.0, 0.95, -0.3, 0.4, 50, 6.7, -0.8),
    Profile("XLK", 144.0, 1.35, 0.8, 0.0, 40, 0.6, 0.1),
    Profile("XLP", 77.7, 0.30, -0.5, 0.0, 60, 5.9, 0.8),
    Profile("XLRE", 40.4, 0.65, -0.4, 0.3, 70, 2.0, 0.3),
    Profile("XLU", 42.7, 0.50, -0.3, 0.0, 85, 0.0, -0.3),
    Profile("XLV", 155.0, 0.50, -0.4, 0.1, 75, 2.2, -0.5),
    Profile("XLY", 119.0, 1.20, 0.5, 0.2, 60, 2.7, 0.4),
    Profile("MU", 285.0, 1.80, 0.9, 0.0, 280, 39.0, 0.5),
    Profile("TSM", 304.0, 1.50, 0.8, 0.0, 160, 7.7, 2.3),
    Profile("ASML", 1070.0, 1.50, 0.7, 0.0, 180, 30.0, -0.4),
    Profile("SMH", 360.0, 1.65, 1.0, 0.0, 80, 11.8, -0.7),
    Profile("TLT", 87.2, -0.05, 0.0, 0.0, 55, 0.6, 0.3),
)

_LARGE: Final = next(i for i, p in enumerate(PROFILES) if p.symbol == "SPY")
_BETA: Final = np.array([p.beta for p in PROFILES])
_GROWTH: Final = np.array([p.growth for p in PROFILES])
_SIZE: Final = np.array([p.size for p in PROFILES])
_OWN: Final = np.array([p.own_bp for p in PROFILES]) * _BP
_ROTATION: Final = np.log1p(np.array([p.rotation for p in PROFILES]) / 100)
_REVERSAL: Final = np.log1p(np.array([p.reversal for p in PROFILES]) / 100)


def great_rotation(sessions: Iterable[Session], *, seed: int = 23, start: dt.date = FIRST_SESSION) -> Scenario:
    """The scenario on the given sessions.

    Args:
        sessions: of the exchange's calendar, in order: at least :data:`HISTORY` before `start`, :data:`STORY` after.
        seed: the same seed and sessions give the same prices.
        start: the first session played; those before are history.

    Raises:
        ValueError: too few sessions.
    """
    every = tuple(sessions)
    past = sum(s.date < start for s in every)
    if past < HISTORY or len(every) - past < STORY:
        raise ValueError(
            f"{NAME} needs {HISTORY} sessions before {start} and {STORY} from then on; "
            f"got {past} and {len(every) - past}: pass a longer calendar"
        )
    rng = np.random.default_rng([seed, len(PROFILES)])
    before = _history(rng, past)
    returns = np.vstack(
        [before, _rotation(rng), _REVERSAL, _quiet(rng, len(every) - past - len(LEAD_BP) - 1, _QUIET_NOISE)]
    )
    logs = np.cumsum(returns, axis=0)
    closes = np.array([p.price for p in PROFILES]) * np.exp(logs - logs[past - 1])
    return Scenario(
        name=NAME,
        seed=seed,
        symbols=tuple(p.symbol for p in PROFILES),
        sessions=every,
        past=past,
        story=STORY,
        closes=np.round(closes, DECIMALS),
        noise=Noise(market=_MARKET_BP * _BP, beta=_BETA, own=_OWN),
    )


def _history(rng: np.random.Generator, sessions: int) -> Floats:
    """Log returns (sessions, instruments) of quiet years in which nobody leads for long, least of all at the end."""
    return _quiet(rng, sessions, 1.0, flat_end=_FLAT_END)


def _quiet(rng: np.random.Generator, sessions: int, noise: float, flat_end: int = 0) -> Floats:
    """Log returns (sessions, instruments): the market, two factors and each instrument's own noise.

    Over the last `flat_end` sessions all of them add up to about zero, and in the very last one small caps trail.
    """
    market = rng.normal(_MARKET_DRIFT_BP * _BP, noise * _MARKET_BP * _BP, sessions)
    growth = rng.normal(0.0, noise * _GROWTH_BP * _BP, sessions)
    own = rng.normal(0.0, noise, (sessions, len(PROFILES))) * _OWN
    size = _size_factor(rng, sessions, noise * _SIZE_BP * _BP)
    if flat_end:
        for factor in (market, growth, own, size):
            factor[-flat_end:] -= factor[-flat_end:].mean(axis=0)
        size[-1] = -abs(size[-1])
        size = _break_runs(size)
        size[-_Z_WINDOW:] *= noise * _SIZE_BP * _BP / size[-_Z_WINDOW:].std(ddof=1)
    return np.asarray(np.outer(market, _BETA) + np.outer(growth, _GROWTH) + np.outer(size, _SIZE) + own)


def _size_factor(rng: np.random.Generator, sessions: int, deviation: float) -> Floats:
    """Small against large, (sessions,) log returns: mean reverting, and never ahead for long."""
    shocks = rng.standard_normal(sessions + 1)
    factor = shocks[1:] - _MEAN_REVERSION * shocks[:-1]
    return _break_runs(factor * (deviation / np.sqrt(1 + _MEAN_REVERSION**2)))


def _break_runs(factor: Floats) -> Floats:
    """The factor with every session that would prolong a run of `_LONGEST_RUN` positive ones turned negative."""
    broken = factor.copy()
    run = 0
    for i, value in enumerate(broken):
        run = run + 1 if value > 0 else 0
        if run > _LONGEST_RUN:
            broken[i] = -value
            run = 0
    return broken


def _rotation(rng: np.random.Generator) -> Floats:
    """Log returns (14, instruments) that add up to `_ROTATION` exactly.

    Each instrument's lead over the market grows in the proportions of `LEAD_BP`. Noise is drawn around that and made to
    cancel out; large and small caps get none of their own, so that the lead of each session is the one wanted.
    """
    sessions = len(LEAD_BP)
    share = np.array(LEAD_BP) / sum(LEAD_BP)
    market = _cancelling(rng, (sessions,)) * _STORY_NOISE * _MARKET_BP * _BP
    growth = _cancelling(rng, (sessions,)) * _STORY_NOISE * _GROWTH_BP * _BP
    own = _cancelling(rng, (sessions, len(PROFILES))) * _STORY_NOISE * _OWN
    lead = _ROTATION - _ROTATION[_LARGE]
    return np.asarray(
        _ROTATION[_LARGE] / sessions + np.outer(market, _BETA) + np.outer(growth, _GROWTH) + np.outer(share, lead) + own
    )


def _cancelling(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Standard normal numbers whose sum along the first axis is zero."""
    drawn = rng.standard_normal(shape)
    return np.asarray(drawn - drawn.mean(axis=0))
