"""Every function of the language against the plain second implementation: random closes with gaps, and real ones."""

from __future__ import annotations

import datetime as dt
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest

from monitor.backtest import Playback, Series
from monitor.calendar import TradingCalendar
from monitor.cli.moments import read_end, read_start, read_steps
from monitor.cli.recorded import read_recorded
from rules.functions import FUNCTIONS
from rules.load import load_texts, parse_expression
from tests.property.rules.reference import Market

SYMBOLS = ("AA", "BB", "CC", "DD", "EE", "FF", "GG")
DEFINITIONS = """
baskets:
  pair: [AA, BB]
  five: {weights: {AA: 0.3, BB: 0.25, CC: 0.2, DD: 0.15, EE: 0.1}}
universes:
  all: [AA, BB, CC, DD, EE, FF, GG]
  some: [AA, CC, five, GG]
"""
EXPRESSIONS = (
    # of an instrument or a basket
    "price(AA)",
    "price(five)",
    "ret(AA, 1d)",
    "ret(BB, 10d)",
    "ret(five, 7d)",
    "ret(pair, 2w)",
    "ret(AA, wtd)",
    "ret(five, mtd)",
    "ret(AA, qtd)",
    "ret(BB, ytd)",
    "ret(five, 2026-01-19)",
    "excess(five, GG, 5d)",
    "ratio(AA, five)",
    "volume(AA, 5d)",
    "rel_volume(CC, 10d)",
    # of samples
    *(
        f"{f}(ret(AA, 3d), 12d)"
        for f in ("mean", "std", "min", "max", "sum", "median", "slope", "zscore", "percentile")
    ),
    *(
        f"{f}(price(BB), 5d)"
        for f in ("mean", "std", "min", "max", "sum", "median", "slope", "zscore", "ema", "change")
    ),
    "ema(ret(AA, 1d), 6d)",
    "median(excess(five, CC, 2d), 11d)",
    "change(ret(five, 4d), 3d)",
    "percentile(rank(AA, all, ret(it, 5d)), 15d)",
    "zscore(price(five), 20d)",
    "mean(ret(AA, 1d), 1d)",
    # of conditions
    "crosses_above(price(AA), mean(price(AA), 8d), 1d)",
    "crosses_below(ret(five, 5d), -1%, 3d)",
    "streak(ret(AA, 1d) > ret(BB, 1d))",
    "streak(share(pair, ret(it, 1d) < 0) > 40%)",
    "held(ret(CC, 1d) > 0, 5, 9d)",
    "then(ret(AA, 5d) > 3%, ret(AA, 1d) < 0, 6d)",
    "not (ret(AA, 1d) > 0 and ret(BB, 1d) > 0 or ret(CC, 1d) < -1%)",
    # of returns and prices
    "vol(AA, 15d)",
    "vol(five, 10d)",
    "beta(AA, BB, 20d)",
    "beta(five, GG, 12d)",
    "corr(AA, five, 20d)",
    "drawdown(DD, 15d)",
    "drawdown(five, 20d)",
    # across members
    *(f"{f}(all, ret(it, 3d))" for f in ("avg", "med", "stdev", "best", "worst", "spread")),
    "count(all, ret(it, 1d) > 0)",
    "share(some, ret(it, 2d) > ret(AA, 2d))",
    "rank(five, some, ret(it, 5d))",
    "rank(BB, all, zscore(price(it), 10d))",
    "rank_corr(all, ret(it, 2d), ret(it, 10d))",
    "rank_corr(all, streak(ret(it, 1d) > 0), ret(it, 10d))",
    # of leadership
    "rs_ratio(AA, BB, 10d)",
    "rs_ratio(five, GG, 12d)",
    "rs_momentum(AA, BB, 10d)",
    "quadrant(AA, five, 10d) == leading",
    "quadrant(CC, DD, 8d) != lagging",
    "reversal(AA, BB, 12d, 4d, 50bp)",
    "reversal(five, GG, 10d, 3d, 0.1%)",
    # of something published elsewhere
    "value(discount)",
    "zscore(value(discount), 10d)",
    # nested
    "zscore(avg(all, ret(it, 5d)) - ret(GG, 5d), 20d)",
    "mean(zscore(mean(ret(AA, 1d), 5d), 10d), 5d)",
    "max(drawdown(AA, 5d), 10d) - min(vol(BB, 5d), 10d)",
    "sum(count(all, ret(it, 1d) > avg(all, ret(it, 1d))), 5d) / 5",
    "corr(AA, BB, 10d) - mean(corr(AA, BB, 10d), 10d)",
)
LIVE_ONLY = {"bid", "ask", "quoted_spread", "age"}
"""Functions of quotes and of their age, which closes do not have."""


@cache
def calendar():
    return TradingCalendar("XNYS")


def random_market(seed, gaps):
    """Random walks over the turn of a year, some closes missing, and a series published now and then."""
    generator = np.random.default_rng(seed)
    trading = calendar()
    first = trading.ordinal_on_or_before(dt.date(2025, 11, 3))
    dates = [trading.date(s) for s in range(first, first + 90)]
    shape = (len(dates), len(SYMBOLS))
    closes = generator.uniform(5, 500, len(SYMBOLS)) * np.exp(np.cumsum(generator.normal(0, 0.02, shape), axis=0))
    closes[generator.random(shape) < gaps] = np.nan
    volumes = np.where(np.isnan(closes), np.nan, generator.integers(1_000, 9_000_000, shape))
    published = np.where(generator.random(len(dates)) < 0.2, generator.normal(28, 2, len(dates)), np.nan)
    known = pd.Series(published).ffill().to_numpy()
    frames = [pd.DataFrame(a, index=dates, columns=list(SYMBOLS)) for a in (closes, volumes)]
    return Market(dates, frames[0], frames[1], {"discount": known}), published


def engine_values(expression, ruleset, files, start, end):
    formula = parse_expression(expression, ruleset)
    trading = calendar()
    first, last = read_start(start, trading), read_end(end, trading)
    recorded = read_recorded(files, (), trading, label="start", bar=None)
    series = Series(formula, trading)
    playback = Playback(recorded.recording(series.requirements.instruments, first, last), trading, series.requirements)
    return formula, np.array([v for _, v in series.values(playback.at(read_steps("1d", trading, first, last)))])


def write(folder, market, published):
    rows = [
        {"ts": date, "symbol": symbol, "open": c, "high": c, "low": c, "close": c, "volume": v}
        for symbol in market.closes
        for date, c, v in zip(market.dates, market.closes[symbol], market.volumes[symbol], strict=True)
        if not np.isnan(c)
    ]
    pl.DataFrame(rows).write_parquet(folder / "bars.parquet")
    values = [
        {"ts": d, "series": "discount", "value": v}
        for d, v in zip(market.dates, published, strict=True)
        if not np.isnan(v)
    ]
    pl.DataFrame(values).write_parquet(folder / "series.parquet")
    return [folder / "bars.parquet", folder / "series.parquet"]


def same(found, wanted):
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


@pytest.fixture(scope="module", params=[(1, 0.0), (2, 0.03), (3, 0.12)], ids=["whole", "few gaps", "many gaps"])
def recorded(request, tmp_path_factory):
    market, published = random_market(*request.param)
    return market, write(tmp_path_factory.mktemp("market"), market, published)


@pytest.fixture(scope="module")
def ruleset():
    loaded = load_texts({"definitions.yaml": DEFINITIONS})
    assert loaded.ruleset is not None, loaded.diagnostics
    return loaded.ruleset


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_engine_says_what_the_contract_says(recorded, ruleset, expression):
    market, files = recorded
    formula, found = engine_values(expression, ruleset, files, str(market.dates[0]), str(market.dates[-1]))
    same(found, market.values(formula.expr))


def test_every_function_of_closes_is_compared():
    text = " ".join(EXPRESSIONS)
    assert {f for f in FUNCTIONS if f"{f}(" not in text} == LIVE_ONLY


REAL = (
    "zscore(excess(IWM, SPY, 14d), 60d)",
    "percentile(excess(IWD, IWF, 10d), 250d)",
    "avg(sectors, ret(it, 5d)) - ret(SPY, 5d)",
    "stdev(sectors, ret(it, 20d))",
    "rank_corr(sectors, ret(it, 5d), ret(it, 60d))",
    "rank(XLE, sectors, ret(it, 20d))",
    "beta(IWM, TLT, 60d)",
    "corr(mag7, SPY, 60d)",
    "drawdown(mag7, 60d)",
    "vol(IWM, 20d)",
    "rs_ratio(XLE, SPY, 60d)",
    "rs_momentum(XLE, SPY, 20d)",
    "quadrant(XLK, SPY, 20d) == weakening",
    "reversal(mag7, SPY, 60d, 10d, 2%)",
    "streak(ret(IWM, 1d) > ret(SPY, 1d))",
    "ema(ratio(IWM, SPY), 20d)",
    "slope(price(mag7), 20d)",
    "median(excess(RSP, SPY, 1d), 60d)",
    "ret(IWM, ytd) - ret(SPY, ytd)",
    "then(excess(mag7, SPY, 5d) > 1%, excess(mag7, SPY, 5d) < 0, 20d)",
)
LEADERS = """
baskets: {mag7: [AAPL, MSFT, GOOGL, AMZN, NVDA, META, TSLA]}
universes: {sectors: [XLB, XLC, XLE, XLF, XLI, XLK, XLP, XLRE, XLU, XLV, XLY]}
"""


@pytest.mark.realdata
@pytest.mark.parametrize("expression", REAL)
def test_the_same_on_recorded_closes(shared_data, expression, tmp_path):
    path = shared_data / "daily_close.parquet"
    start, end = dt.date(2018, 3, 1), dt.date(2020, 6, 30)
    rows = pl.read_parquet(path).with_columns(pl.col("ts").cast(pl.Date)).filter(pl.col("ts").is_between(start, end))
    rows.write_parquet(tmp_path / "closes.parquet")
    loaded = load_texts({"definitions.yaml": LEADERS})
    formula, found = engine_values(expression, loaded.ruleset, [tmp_path / "closes.parquet"], str(start), str(end))
    closes = rows.to_pandas().pivot(index="ts", columns="symbol", values="close")
    dates = [d.date() if hasattr(d, "date") else d for d in closes.index]
    market = Market(dates, closes.set_axis(dates))
    same(found, market.values(formula.expr))
