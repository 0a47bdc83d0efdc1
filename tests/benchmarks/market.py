"""A made-up market: instruments, their past, and rules of every kind about all of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import yaml

_WINDOWS = ("1d", "5d", "14d", "20d", "60d")
_UNIVERSES = 10
"""At most; together they hold every instrument, so whatever the number of rules, none is left out."""
_BASKET = 7


def history(symbols: Sequence[str], last: Sequence[float], dates: Sequence[dt.date], seed: int = 3) -> pl.DataFrame:
    """Session closes ``ts, symbol, close`` that end near the prices `last`."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.01, (len(dates), len(symbols)))
    closes = np.asarray(last) * np.exp(steps.cumsum(axis=0) - steps.sum(axis=0))
    return pl.DataFrame(
        {
            "ts": np.repeat(np.array(dates, "datetime64[D]"), len(symbols)),
            "symbol": pl.Series(list(symbols) * len(dates), dtype=pl.String),
            "close": closes.ravel(),
        }
    )


def days_before(day: dt.date, count: int) -> list[dt.date]:
    """That many days up to the one before `day`: the sessions of a calendar that never closes."""
    return [day - dt.timedelta(days=back) for back in range(count, 0, -1)]


def rules(
    symbols: Sequence[str], count: int, *, flipping: Sequence[str] = (), zscore: str = "60d", minutes: int = 0
) -> str:
    """A rule file of `count` rules, a fifth of each kind: excess, z-score, streak, share of a universe, basket.

    `flipping`: instruments that get a rule more, firing whenever they are above 500. `minutes`: another rule looks back
    so far on the clock.
    """
    rng = np.random.default_rng(5)
    sets = min(_UNIVERSES, max(1, count // 5))
    baskets: dict[str, Any] = {}
    alerts: list[dict[str, Any]] = []
    for number in range(count):
        x, y = (symbols[i] for i in rng.choice(len(symbols), 2, replace=False))
        turn = number // 5
        w = _WINDOWS[(turn + turn // _UNIVERSES) % len(_WINDOWS)]  # in time every window of every universe
        excess = f"excess({x}, {y}, {w})"
        match number % 5:
            case 0:
                when = f"{excess} > {10 + number % 7}%"
            case 1:
                when = f"zscore({excess}, {zscore}) > 6"
            case 2:
                when = f"streak({excess} > 0) >= {60 + number % 20}"
            case 3:
                when = f"share(u{turn % sets}, ret(it, {w}) > 0) > 95%"
            case _:
                baskets[f"b{number}"] = [symbols[i] for i in rng.choice(len(symbols), _BASKET, replace=False)]
                when = f"ret(b{number}, {w}) - ret({x}, {w}) < -{40 + number % 9}%"
        alerts.append({"alert": f"rule-{number}", "when": when, "for": "1m"})
    alerts += [{"alert": f"above-{x}", "when": f"price({x}) > 500"} for x in flipping]
    if minutes:
        alerts.append({"alert": "minutes", "when": f"mean(ret({symbols[0]}, 30m), {minutes - 30}m) > 5%"})
    universes = {f"u{i}": list(symbols[i::sets]) for i in range(sets)}
    document = {"version": 1, "baskets": baskets, "universes": universes, "groups": [{"name": "b", "rules": alerts}]}
    return yaml.safe_dump(document, default_flow_style=None, width=10_000, sort_keys=False)
