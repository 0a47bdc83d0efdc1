"""Nothing refused is ever in the output, nothing is lost, and how frames were batched changes nothing."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.batch import BARS, QUOTES, SCHEMAS, TRADES, Batch
from monitor.ingest import TruthFilter, TruthSettings
from tests.unit.monitor.ingest.frames import SECOND, Row, frame

KINDS = ("quotes", "trades", "bars")
SETTINGS = TruthSettings(lateness_ns=5 * SECOND, recent_trades=1000)
symbols = st.sampled_from(["A", "B", "C"])
prices = st.sampled_from([100.0, 101.0, 119.0, 125.0, 1000.0, 10.0, 10_500.0])
dirt = st.sampled_from([0.0, -1.0, math.nan, math.inf, None])
price_or_dirt = st.one_of(prices, prices, prices, dirt)
sizes = st.sampled_from([1.0, 2.0, None, math.nan])


@st.composite
def row(draw: st.DrawFn, kind: str, time: float, price: st.SearchStrategy[float | None]) -> Row:
    symbol, value = draw(symbols), draw(price)
    if kind == "quotes":
        width = draw(st.sampled_from([0.0, 0.5, -0.5, 2000.0]))
        return time, symbol, value, None if value is None else value + width, draw(sizes), 1.0
    if kind == "trades":
        return time, symbol, value, draw(sizes), draw(st.sampled_from([1, 2, None]))
    return time - 60, time, symbol, value, draw(price), value, value, draw(sizes)


@st.composite
def arrivals(draw: st.DrawFn, *, ordered: bool) -> list[tuple[str, Row]]:
    """(kind, row), in the order of arrival; without `ordered`, of one kind, with repeats and rows out of order."""
    only = None if ordered else draw(st.sampled_from(KINDS))
    time, rows = 0.0, []
    for _ in range(draw(st.integers(1, 30))):
        kind = only or draw(st.sampled_from(KINDS))
        if rows and not ordered and draw(st.booleans()):
            rows.append(draw(st.sampled_from(rows[-4:])))
            continue
        time += draw(st.sampled_from([0.25, 1.0, 4.0] if ordered else [0.0, 0.25, 4.0, -2.0, -7.0, 6.0]))
        rows.append((kind, draw(row(kind, time, price_or_dirt))))
    return rows


def batches(rows: list[tuple[str, Row]], cuts: set[int], feed: str = "iex") -> list[Batch]:
    edges = [0, *sorted(c for c in cuts if c < len(rows)), len(rows)]
    return [
        Batch(feed, 0, **{k: frame(SCHEMAS[k], [r for kind, r in rows[a:b] if kind == k]) for k in KINDS})
        for a, b in itertools.pairwise(edges)
    ]


def counted(frames: list[pl.DataFrame]) -> Counter[str]:
    return Counter(str(r) for f in frames for r in f.rows())


def run(truth: TruthFilter, parts: list[Batch]) -> dict[str, pl.DataFrame]:
    clean = [truth.clean(part) for part in parts]
    return {kind: pl.concat([c.frames()[kind] for c in clean]) for kind in KINDS}


@given(st.booleans().flatmap(lambda o: arrivals(ordered=o)), st.sets(st.integers(1, 29)))
@settings(max_examples=80, deadline=None)
def test_every_row_comes_out_once(rows, cuts):
    truth = TruthFilter(SETTINGS)
    out = run(truth, batches(rows, cuts))
    assert sum(f.height for f in out.values()) + sum(truth.rejects.counts.values()) + truth.held == len(rows)
    given_rows = counted([f for b in batches(rows, cuts) for f in b.frames().values()])
    assert counted(list(out.values())) <= given_rows


@given(st.booleans().flatmap(lambda o: arrivals(ordered=o)), st.sets(st.integers(1, 29)))
@settings(max_examples=80, deadline=None)
def test_what_comes_out_can_be_true(rows, cuts):
    truth = TruthFilter(SETTINGS)
    out = run(truth, batches(rows, cuts))
    quotes, trades, bars = out["quotes"], out["trades"], out["bars"]
    assert (quotes.schema, trades.schema, bars.schema) == (QUOTES, TRADES, BARS)
    assert quotes.filter(
        ~((pl.col("bid") > 0) & (pl.col("ask") >= pl.col("bid")) & pl.col("ask").is_finite())
    ).is_empty()
    assert trades.filter(~((pl.col("price") > 0) & pl.col("price").is_finite())).is_empty()
    assert bars.filter(~(pl.col("close") > 0) | (pl.col("high") < pl.col("low"))).is_empty()
    assert not trades.filter(pl.col("id").is_not_null()).is_duplicated().any()


@given(arrivals(ordered=True), st.sets(st.integers(1, 29)))
@settings(max_examples=100, deadline=None)
def test_in_order_of_time_batching_changes_nothing(rows, cuts):
    one_by_one, batched = TruthFilter(SETTINGS), TruthFilter(SETTINGS)
    expected = run(one_by_one, batches(rows, set(range(30))))
    got = run(batched, batches(rows, cuts))
    for frames in (got, expected):
        # Where volume without a price stands beside a print that a quote confirmed makes no difference to anything.
        frames["trades"] = frames["trades"].sort(pl.col("price").is_null(), maintain_order=True)
    assert all(got[kind].equals(expected[kind]) for kind in KINDS)
    assert batched.rejects.counts == one_by_one.rejects.counts
    assert batched.held == one_by_one.held
    assert batched.watermark("iex") == one_by_one.watermark("iex")


levels = st.sampled_from([100.0, 130.0, 1500.0])
steep = st.lists(
    st.tuples(st.sampled_from(["quotes", "trades"]), st.sampled_from("AAB"), levels), min_size=2, max_size=12
)


@given(steep, st.sets(st.integers(1, 11)))
@settings(max_examples=300, deadline=None)
def test_jumps_are_judged_alike_however_batched(jumps, cuts):
    rows = [
        (kind, (n, name, level, level, 1.0, 1.0) if kind == "quotes" else (n, name, level, 1.0, n))
        for n, (kind, name, level) in enumerate(jumps)
    ]
    one_by_one, batched = TruthFilter(SETTINGS), TruthFilter(SETTINGS)
    expected = run(one_by_one, batches(rows, set(range(12))))
    got = run(batched, batches(rows, cuts))
    assert all(got[kind].equals(expected[kind]) for kind in KINDS)
    assert batched.rejects.counts == one_by_one.rejects.counts


@given(arrivals(ordered=False), st.sets(st.integers(1, 29)))
@settings(max_examples=100, deadline=None)
def test_of_one_kind_batching_changes_nothing_in_any_order(rows, cuts):
    one_by_one, batched = TruthFilter(SETTINGS), TruthFilter(SETTINGS)
    expected = run(one_by_one, batches(rows, set(range(30))))
    got = run(batched, batches(rows, cuts))
    assert all(got[kind].equals(expected[kind]) for kind in KINDS)
    assert batched.rejects.counts == one_by_one.rejects.counts


@given(st.lists(st.sampled_from([100.0, 101.0, 99.5]), min_size=2, max_size=40), st.integers(1, 5), st.data())
@settings(max_examples=50, deadline=None)
def test_prints_at_ten_times_the_price_never_pass(values, every, data):
    rows = []
    for n, value in enumerate(values):
        rows.append(("trades", (n, "A", value, 1.0, n)))
        if n % every == 0:
            rows.append(("trades", (n, "A", value * 10, 1.0, n)))
    truth = TruthFilter()
    cuts = data.draw(st.sets(st.integers(1, len(rows))))
    assert run(truth, batches(rows, cuts))["trades"]["price"].to_list() == values
