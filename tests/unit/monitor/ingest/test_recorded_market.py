"""Real prices lose nothing, and real dirt and the faults of a bad feed are counted exactly."""

from __future__ import annotations

import argparse
import importlib.util
import itertools
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from connectors.batch import BARS, QUOTES, TIME, TRADES, Batch
from monitor.ingest import Cause, TruthFilter, TruthSettings

pytestmark = pytest.mark.realdata

FIVE_MINUTES = 300 * 1_000_000_000


@pytest.fixture(scope="module")
def bars(shared_data: Path) -> pl.DataFrame:
    return pl.read_parquet(shared_data / "bars_5min.parquet").with_columns(pl.col("ts").cast(TIME))


@pytest.fixture(scope="module")
def tool(shared_tools: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("alpaca_replay", shared_tools / "alpaca_replay.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prints(bars: pl.DataFrame) -> pl.DataFrame:
    """Four trades a bar: open, low, high, close."""
    quarters = [
        bars.select(
            (pl.col("ts") + pl.duration(nanoseconds=k * FIVE_MINUTES // 4, time_unit="ns")).alias("ts"),
            "symbol",
            pl.col(name).alias("price"),
            pl.col("volume").alias("size"),
            pl.lit(k, dtype=pl.Int64).alias("id"),
        )
        for k, name in enumerate(("open", "low", "high", "close"))
    ]
    return pl.concat(quarters).sort("ts", maintain_order=True).select(TRADES.names())


def test_a_month_of_trades_without_quotes_loses_nothing(bars):
    truth = TruthFilter()
    tape = prints(bars)
    out = [truth.clean(Batch("tape", 0, trades=part)).trades for part in tape.iter_slices(5000)]
    assert not truth.rejects.counts
    assert sum(f.height for f in out) + truth.held == tape.height
    assert truth.held == 0


def test_a_month_of_bars_loses_nothing(bars):
    truth = TruthFilter()
    tape = bars.with_columns(end=pl.col("ts") + pl.duration(nanoseconds=FIVE_MINUTES, time_unit="ns"))
    out = [truth.clean(Batch("tape", 0, bars=p)).bars for p in tape.select(BARS.names()).iter_slices(5000)]
    assert sum(f.height for f in out) == bars.height


@pytest.mark.parametrize("factor", [10, 0.1, 1.5])
def test_a_wild_bar_after_any_of_a_month_never_passes(bars, factor):
    tape = bars.filter(pl.col("symbol").is_in(["IWM", "SPY", "MU", "NVDA", "BTC-USDT"]))
    ended = tape.with_columns(end=pl.col("ts") + pl.duration(nanoseconds=FIVE_MINUTES, time_unit="ns"))
    every = ended.select(BARS.names()).with_row_index("n")
    wild = every.filter(pl.col("n") % 7 == 0).with_columns(pl.col("open", "high", "low", "close") * factor)
    dirty = pl.concat([every, wild]).sort("n", maintain_order=True).drop("n")
    truth = TruthFilter(TruthSettings())
    out = pl.concat([truth.clean(Batch("tape", 0, bars=part)).bars for part in dirty.iter_slices(1000)])
    assert out.equals(every.drop("n"))
    assert truth.rejects.total(Cause.SPIKE) + truth.held == wild.height


@pytest.mark.parametrize("factor", [10, 0.1, 1.5])
def test_a_wild_print_after_any_of_a_month_never_passes(bars, factor):
    tape = prints(bars.filter(pl.col("symbol").is_in(["IWM", "SPY", "MU", "NVDA", "BTC-USDT"])))
    every = tape.with_row_index("n")
    wild = every.filter(pl.col("n") % 7 == 0).with_columns(pl.col("price") * factor)
    dirty = pl.concat([every, wild]).sort("n", maintain_order=True).drop("n")
    truth = TruthFilter(TruthSettings())
    out = pl.concat([truth.clean(Batch("tape", 0, trades=part)).trades for part in dirty.iter_slices(1000)])
    assert out.equals(tape)
    assert truth.rejects.total(Cause.SPIKE) + truth.held == wild.height


def test_every_crossed_quote_of_two_weeks_of_currencies_is_counted(shared_data):
    ticks = pl.read_parquet(shared_data / "ticks_fx.parquet").select(
        pl.col("ts").cast(TIME),
        "symbol",
        "bid",
        "ask",
        bid_size=pl.lit(None, pl.Float64),
        ask_size=pl.lit(None, pl.Float64),
    )
    truth = TruthFilter()
    out = sum(truth.clean(Batch("fx", 0, quotes=part)).rows for part in ticks.iter_slices(20_000))
    assert truth.rejects.counts == {("fx", Cause.CROSSED): 135_829, ("fx", Cause.DUPLICATE): 437}
    assert out == ticks.height - 135_829 - 437


def test_recorded_crypto_quotes_are_clean(shared_data):
    quotes = pl.read_parquet(shared_data / "quotes_crypto.parquet").with_columns(pl.col("ts").cast(TIME))
    truth = TruthFilter()
    assert truth.clean(Batch("cb", 0, quotes=quotes.select(QUOTES.names()))).rows == quotes.height
    assert not truth.rejects.counts


# --- the faults that the replayed exchange makes ------------------------------------------------------------------


def frames(messages: list[dict[str, Any]]) -> dict[str, pl.DataFrame]:
    """Quotes and trades as a feed would hand them on."""
    quotes = [(m["t"], m["S"], m["bp"], m["ap"], m["bs"], m["as"]) for m in messages if m["T"] == "q"]
    trades = [(m["t"], m["S"], m["p"], m["s"], m["i"]) for m in messages if m["T"] == "t"]
    return {
        "quotes": pl.DataFrame(quotes, schema=QUOTES, orient="row", strict=False),
        "trades": pl.DataFrame(trades, schema=TRADES, orient="row", strict=False),
    }


def played(tool: ModuleType, bars: pl.DataFrame, *faults: str) -> list[Batch]:
    """A morning's quotes and trades, fifty a frame and never two instants in one, as the exchange sends them."""
    exchange = tool.Exchange(argparse.Namespace(fault=list(faults)))
    batches = []
    for _, instant in itertools.groupby(tool.messages(bars, 300), key=lambda m: m[0]):
        sent = [m for ns, message in instant if message["T"] != "b" for m in exchange.faulty(ns, message)]
        for part in chunks(sent, 50):
            exchange.sent += len(part)
            batches.append(Batch("iex", 0, **frames(part)))
    return batches


def chunks(items: list[Any], size: int) -> list[list[Any]]:
    return [items[at : at + size] for at in range(0, len(items), size)]


def cleaned(batches: list[Batch]) -> tuple[dict[str, pl.DataFrame], Counter[str], int]:
    truth = TruthFilter()
    out = [truth.clean(batch) for batch in batches]
    kinds = {kind: pl.concat([c.frames()[kind] for c in out]) for kind in ("quotes", "trades")}
    return kinds, Counter({str(c): n for (_, c), n in truth.rejects.counts.items()}), truth.held


@pytest.fixture(scope="module")
def morning(bars: pl.DataFrame) -> pl.DataFrame:
    start = pl.datetime(2026, 1, 23, 14, 25, time_unit="ns", time_zone="UTC")
    end = pl.datetime(2026, 1, 23, 16, 0, time_unit="ns", time_zone="UTC")
    listed = bars.filter(pl.col("ts").is_between(start, end, closed="left") & ~pl.col("symbol").str.contains("-"))
    return listed.filter(pl.col("close") > 1)


@pytest.mark.parametrize(
    ("faults", "cause"),
    [(["dup@7"], "duplicate"), (["late@5"], "late"), (["cross@3"], "crossed"), (["spike@3"], "spike")],
)
def test_a_bad_feed_leaves_the_clean_run(tool, morning, faults, cause):
    clean = played(tool, morning)
    expected, none, _ = cleaned(clean)
    assert not none
    dirty = played(tool, morning, *faults)
    got, causes, held = cleaned(dirty)
    extra = sum(b.rows for b in dirty) - sum(b.rows for b in clean)
    assert extra > 100
    assert causes[cause] + held == extra
    assert set(causes) == {cause}
    assert all(got[kind].equals(expected[kind]) for kind in expected)


def test_all_faults_at_once_leave_the_clean_run(tool, morning):
    expected, _, _ = cleaned(played(tool, morning))
    got, causes, _ = cleaned(played(tool, morning, "dup@7", "late@5", "cross@3", "spike@3"))
    assert set(causes) == {"duplicate", "late", "crossed", "spike"}
    assert all(got[kind].equals(expected[kind]) for kind in expected)
