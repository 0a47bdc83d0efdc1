"""Windows of clock time against the plain second implementation: minute bars with gaps, a holiday, a half day."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

from monitor.backtest import Playback, Series
from monitor.cli.recorded import read_recorded
from rules.load import load_texts, parse_expression
from tests.property.rules.reference_minutes import MINUTE, MinuteMarket
from tests.property.rules.test_truth import calendar, same

SYMBOLS = ("AA", "BB", "CC", "DD", "EE")
FIRST, SESSIONS = dt.date(2025, 11, 24), 5
"""Thursday is a holiday, Friday ends at 13:00."""
DEFINITIONS = """
baskets:
  pair: [AA, BB]
  four: {weights: {AA: 0.4, BB: 0.3, CC: 0.2, DD: 0.1}}
universes:
  all: [AA, BB, CC, DD, EE]
"""
EXPRESSIONS = (
    "price(AA)",
    "price(four)",
    "age(BB)",
    "ret(AA, 5m)",
    "ret(AA, 30m)",
    "ret(four, 2h)",
    "ret(BB, open)",
    "ret(four, open)",
    "ret(AA, 1d)",
    "ret(CC, 90s)",
    "excess(pair, EE, 30m)",
    *(
        f"{f}(ret(AA, 5m), 30m)"
        for f in ("mean", "std", "min", "max", "sum", "median", "slope", "ema", "zscore", "percentile", "change")
    ),
    *(f"{f}(price(BB), 2h)" for f in ("mean", "std", "median", "slope", "zscore", "percentile")),
    "ema(price(CC), 5m)",
    "mean(ret(AA, 1d), 1m)",
    "zscore(excess(four, EE, open), 1h)",
    "crosses_above(price(AA), mean(price(AA), 30m), 5m)",
    "crosses_below(ret(four, 1d), 0, 1m)",
    "held(ret(AA, 5m) > 0, 10, 30m)",
    "then(ret(AA, 30m) > 20bp, ret(AA, 5m) < 0, 2h)",
    "streak(ret(AA, 1d) > ret(BB, 1d))",
    "streak(ret(AA, 30m) > 0)",
    "volume(AA, 5m)",
    "volume(BB, 2h)",
    "volume(CC, open)",
    "volume(CC, 2d)",
    "rel_volume(AA, 2d)",
    "mean(volume(AA, 5m), 30m)",
    "zscore(rel_volume(BB, 2d), 30m)",
    "drawdown(four, 2h)",
    "rs_ratio(AA, BB, 30m)",
    "quadrant(AA, four, 20m) == lagging",
    "avg(all, ret(it, 30m))",
    "rank(CC, all, zscore(ret(it, 5m), 30m))",
    "share(all, price(it) > mean(price(it), 1h)) > 50%",
    # windows of clock time within those of sessions, and the other way round
    "mean(ret(AA, 30m), 3d)",
    "zscore(mean(ret(AA, 5m), 30m), 3d)",
    "std(ret(BB, open), 4d)",
    "mean(mean(ret(AA, 1d), 2d), 30m)",
    "mean(zscore(ret(AA, 5m), 30m), 20m)",
    "max(vol(AA, 3d), 30m) - vol(AA, 3d)",
    "change(std(price(DD), 30m), 1d)",
)


def random_market(seed, gaps, step):
    """Bars of `step` minutes that end on the grid, some missing, and long silences of one instrument."""
    generator, trading = np.random.default_rng(seed), calendar()
    first = trading.ordinal_on_or_before(FIRST)
    sessions = range(first, first + SESSIONS)
    opens, ends = tuple(map(trading.open_ns, sessions)), tuple(map(trading.close_ns, sessions))
    rows = []
    for n, symbol in enumerate(SYMBOLS):
        times = np.concatenate(
            [np.arange(o + step * MINUTE, e + 1, step * MINUTE) for o, e in zip(opens, ends, strict=True)]
        )
        prices = 50 * (n + 1) * np.exp(np.cumsum(generator.normal(0, 0.001, (len(times), 2)), axis=0)[:, 0])
        kept = generator.random(len(times)) >= gaps
        kept[0] = True
        if gaps and symbol == "BB":
            silent = int(len(times) * 0.55)
            kept[silent : silent + 60 // step] = False
        opened = prices * (1 + generator.normal(0, 0.0002, len(times)))
        volumes = generator.integers(1, 9_000, len(times)).astype(float)
        rows.append(
            pd.DataFrame({"end": times, "symbol": symbol, "open": opened, "close": prices, "volume": volumes})[kept]
        )
    dates = [trading.date(s) for s in sessions]
    return MinuteMarket(dates, pd.DataFrame(), bars=pd.concat(rows), opens=opens, ends=ends)


def write(path, market, step):
    bars = pl.from_pandas(market.bars.reset_index(drop=True))
    bars.select(
        (pl.col("end") - step * MINUTE).cast(pl.Datetime("ns", "UTC")).alias("ts"),
        "symbol",
        "open",
        pl.max_horizontal("open", "close").alias("high"),
        pl.min_horizontal("open", "close").alias("low"),
        "close",
        "volume",
    ).sort("ts", "symbol").write_parquet(path)


@pytest.fixture(
    scope="module",
    params=[(2, 0.1, 1), (3, 0.05, 5)],
    ids=["minutes with gaps", "five minutes with gaps"],
)
def recorded(request, tmp_path_factory):
    market, path = random_market(*request.param), tmp_path_factory.mktemp("market") / "bars.parquet"
    write(path, market, request.param[2])
    return market, read_recorded([path], (), calendar(), label="start", bar=f"{request.param[2]}m")


@pytest.fixture(scope="module")
def ruleset():
    loaded = load_texts({"definitions.yaml": DEFINITIONS})
    assert loaded.ruleset is not None, loaded.diagnostics
    return loaded.ruleset


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_engine_says_what_the_contract_says(recorded, ruleset, expression):
    market, data = recorded
    formula = parse_expression(expression, ruleset)
    series = Series(formula, calendar())
    first, last = int(market.grid[0]), int(market.grid[-1])
    playback = Playback(data.recording(series.requirements.instruments, first, last), calendar(), series.requirements)
    found = dict(series.values(playback.at(map(int, market.grid))))
    wanted = market.values(formula.expr)[: len(market.grid)]
    same(np.array([found[int(ns)] for ns in market.grid]), wanted)
