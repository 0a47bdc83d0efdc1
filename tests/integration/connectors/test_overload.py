"""Ten times what is taken: memory stays bounded, quotes are conflated and counted, everything else is complete."""

from __future__ import annotations

import asyncio

import polars as pl

from connectors.backlog import Backlog
from connectors.batch import CORRECTIONS, QUOTES, STATUSES, TRADES, Batch

SYMBOLS = [f"S{n}" for n in range(500)]
ROUNDS, TIMES, BOUND = 100, 10, 2**20


def batch(n):
    """A quote of every instrument, and a trade, a halt and a correction that tell `n`."""
    quotes = pl.DataFrame(
        {"ts": n, "symbol": SYMBOLS, "bid": float(n), "ask": n + 1.0, "bid_size": 1.0, "ask_size": 1.0}, schema=QUOTES
    )
    trades = pl.DataFrame([(n, "S0", 1.0, 1.0, n)], schema=TRADES, orient="row")
    statuses = pl.DataFrame([(n, "S0", "H", str(n))], schema=STATUSES, orient="row")
    fix = (n, "S0", "cancel", n, 1.0, 1.0, None, None, None)
    corrections = pl.DataFrame([fix], schema=CORRECTIONS, orient="row")
    return Batch("f", n, quotes, trades, statuses=statuses, corrections=corrections)


async def test_ten_times_the_load_costs_old_quotes_only():
    backlog, waiting, taken = Backlog(BOUND), [], []

    async def send():
        for n in range(ROUNDS * TIMES):
            await backlog.put(batch(n))
            await asyncio.sleep(0)

    sending = asyncio.create_task(send())
    behind = []
    for round_ in range(ROUNDS):
        for _ in range(TIMES):  # as many turns of the sender for one of the taker
            await asyncio.sleep(0)
        waiting.append(backlog.bytes)
        if round_ % TIMES == TIMES - 1 and backlog.rows:
            got = await backlog.take(10**9)
            taken += got
            latest = [b.quotes.group_by("symbol").agg(pl.col("bid").max())["bid"].to_numpy() for b in got]
            behind.append(min(bids.min() for bids in latest) - max(bids.max() for bids in latest))
    while not sending.done() or backlog.rows:
        if backlog.rows:
            taken += await backlog.take(10**9)
        await asyncio.sleep(0)  # a turn of the sender
    whole = Batch.merge(taken)
    every = list(range(ROUNDS * TIMES))
    assert whole.trades["id"].to_list() == every
    assert whole.statuses["reason"].to_list() == [str(n) for n in every]
    assert whole.corrections["id"].to_list() == every
    assert max(waiting) <= BOUND + batch(0).quotes.estimated_size() + 4096
    assert behind == [0.0] * len(behind)  # whoever takes has the newest of every instrument at once
    assert backlog.conflated["f"] > 0
    assert backlog.conflated["f"] + whole.quotes.height == len(every) * len(SYMBOLS)
    assert whole.quotes.group_by("symbol").agg(pl.col("bid").last())["bid"].unique().to_list() == [every[-1]]
