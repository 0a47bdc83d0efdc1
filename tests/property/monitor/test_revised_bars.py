"""Prints that are taken back leave the same market and the same stored bars, be the bars open, closed or stored."""

from __future__ import annotations

import asyncio
import math

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from connectors.batch import CORRECTIONS, TRADES, Batch
from monitor.recovery import read_frame
from monitor.store.memory import MemoryServer
from tests.property.monitor.test_restart import HISTORY, SECOND, Process, calendar

MOVES = st.lists(
    st.tuples(st.sampled_from([1, 20, 45, 60, 90, 400, 9_000, 64_800]), st.integers(-30, 30), st.sampled_from("AB")),
    min_size=2,
    max_size=30,
)
BACK = st.lists(st.tuples(st.integers(0, 29), st.integers(1, 6), st.sampled_from([None, 0.99, 1.0, 1.01])), max_size=6)
"""(the print, how many moves later it is taken back, what its price is instead as a factor, None for nothing)."""


def tape(moves, back):
    """Trades of A and B from 22 January 2026 on, and corrections of some of them."""
    batches, now = [], calendar().open_ns(calendar().ordinal_on_or_before(HISTORY["ts"].max()) + 1)
    prices, taken, size = {"A": 100.0, "B": 100.0}, {}, 5.0
    for number, later, factor in back:
        taken.setdefault(number + later, {})[number] = factor
    printed = []
    for number, (wait, move, symbol) in enumerate(moves):
        now += wait * SECOND
        prices[symbol] *= 1 + move / 10_000
        rows = [(now, s, prices[s], size, 2 * number + i) for i, s in enumerate("AB")]
        printed.append((now, symbol, prices[symbol], 2 * number + "AB".index(symbol)))
        wrong = []
        for of, factor in taken.get(number, {}).items():
            if of < number:
                _, s, price, own = printed[of]
                new = (None, math.nan, math.nan) if factor is None else (10_000 + own, price * factor, size + 1)
                wrong.append((now, s, "cancel" if factor is None else "correction", own, price, size, *new))
        batches.append(
            Batch(
                "f",
                now,
                trades=pl.DataFrame(rows, schema=dict(TRADES), orient="row"),
                corrections=pl.DataFrame(wrong, schema=dict(CORRECTIONS), orient="row"),
            )
        )
    return batches


async def played(batches, checkpoints, deaths):
    """The last process, and the bars that are stored after a last checkpoint: by resolution, sorted."""
    server = MemoryServer()
    process = Process(server)
    await process.start()
    for number, batch in enumerate(batches):
        await process.take(batch, dispatched=True)
        if number in checkpoints:
            await process.checkpoint()
        if number in deaths:
            known, process = process.truth, Process(server)
            await process.start()
            process.truth._prints = known._prints  # what it knows of prints of before is another matter
    frames = process.state.checkpoint_frames()
    await process.checkpoint()
    stored = {}
    for resolution in ("1m", "1d"):
        chunks = await process.store.load_bars(resolution, await process.store.bar_chunks(resolution))
        rows = [read_frame(chunk.data).with_columns(pl.col("symbol").cast(pl.String)) for chunk in chunks]
        stored[resolution] = pl.concat(rows).sort("ts", "symbol") if rows else pl.DataFrame()
    return frames, stored


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(MOVES, BACK, st.data())
def test_where_a_bar_is_when_it_is_corrected_makes_no_difference(moves, back, data):
    batches = tape(moves, back)
    places = st.sets(st.integers(0, len(batches) - 1), max_size=4)
    checkpoints, deaths = data.draw(places), data.draw(places)
    frames, stored = asyncio.run(played(batches, set(), set()))
    others, stored_otherwise = asyncio.run(played(batches, checkpoints, deaths))
    for name, frame in frames.items():
        assert_frame_equal(frame, others[name], check_exact=True)
    for resolution, bars in stored.items():
        assert_frame_equal(bars, stored_otherwise[resolution], check_exact=True)
