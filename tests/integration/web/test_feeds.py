"""The page of feeds: what went wrong on which feed, with which instrument, in what words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import polars as pl
import pytest
from fastapi import FastAPI

from connectors.batch import QUOTES, Batch
from connectors.refused import RefusedFrames
from monitor.feeds import LineFigures
from monitor.ingest import TruthFilter
from monitor.lags import Lags, on_the_way
from monitor.pipeline import Pipeline
from monitor.recovery import Recovery
from monitor.silence import Silences
from monitor.state import MarketState
from monitor.web.feeds import feed_page
from tests.integration.web.conftest import RULES
from tests.integration.web.desk import SECOND, Desk, closes, ny

OPEN = ny("2026-01-23 10:00")
MANY = 10_000


class Watching(Desk):
    """The desk with two feeds, `sim` and `backup`, and what their lines count."""

    def __init__(self, rules: Path) -> None:
        super().__init__(rules, closes("2026-01-22", 30, {"IWM": 250.0, "SPY": 600.0, "BTC/USD": 90_000.0}))
        self.lines = {"sim": LineFigures({"IWM": 7}, {"SPY": 11}), "backup": LineFigures()}

    def feeds(self):
        return [{"name": name, "status": "live"} for name in self.lines]

    def line(self, feed):
        return self.lines.get(feed, LineFigures())

    async def send(self, feed, rows, received_at=None):
        """Quotes as (event time, symbol, bid, ask)."""
        frame = pl.DataFrame([(*row, 1.0, 1.0) for row in rows], schema=QUOTES, orient="row")
        at = received_at or max(row[0] for row in rows)
        await self._commit(await self.compute.run(Pipeline.process, [Batch(feed, at, quotes=frame)], at))


@pytest.fixture
def desk(tmp_path: Path) -> Watching:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    return Watching(rules)


@pytest.fixture
async def client(desk: Watching) -> AsyncIterator[httpx.AsyncClient]:
    """Asks the routes alone, on the application's own transport."""
    app = FastAPI()
    app.include_router(feed_page(desk))
    await desk.store.acquire("test")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://monitor") as client:
        yield client
    desk.compute.close()


async def test_a_feed_says_what_was_refused_locked_shadowed_and_switched_over(desk, client):
    await desk.send("sim", [(OPEN, "IWM", 250.0, 250.1), (OPEN, "SPY", 600.0, 600.0)])
    await desk.send("sim", [(OPEN + 1, "IWM", 251.0, 250.0), (OPEN + 2, "SPY", -1.0, 600.0)])
    for feed, second in (("backup", 1), ("sim", 2), ("backup", 3)):
        await desk.send(feed, [(OPEN + second * SECOND, "IWM", 250.0, 250.1)])
    await desk.send("backup", [(OPEN + 30 * SECOND, "IWM", 250.0, 250.1)])
    sim, backup = (await client.get("/api/v1/feeds")).json()
    assert sim["filtered"] == {"crossed": 1, "non-positive": 1}
    assert (sim["locked"], sim["shadowed"], sim["switches"], sim["instruments_heard"]) == (1, 0, 1, 2)
    assert (backup["shadowed"], backup["switches"], backup["filtered"]) == (1, 1, {})
    assert sim["behind_seconds"] == 28.0
    one = (await client.get("/api/v1/feeds/sim")).json()
    refused = {(r["cause"], r["row"]["symbol"]) for r in one["refused_rows"]}
    assert refused == {("crossed", "IWM"), ("non-positive", "SPY")}
    by_symbol = {row["symbol"]: row for row in one["instruments"]}
    assert by_symbol["IWM"]["filtered"] == {"crossed": 1}
    assert by_symbol["IWM"]["gaps"] == 7
    assert by_symbol["SPY"]["conflated"] == 11
    assert by_symbol["IWM"]["in_use"] is False
    assert by_symbol["BTC/USD"]["pulse"] == "unheard"


async def test_two_feeds_that_differ_for_long_are_told_of_both(desk, client):
    for second in range(0, 60, 5):
        at = OPEN + second * SECOND
        await desk.send("sim", [(at, "IWM", 250.0, 250.1)])
        await desk.send("backup", [(at + 1, "IWM", 260.0, 260.1)])
    sim, backup = (await client.get("/api/v1/feeds")).json()
    assert (sim["disagreeing"], backup["disagreeing"]) == (0, 1)
    assert sim["disagreements"] == backup["disagreements"] != []


async def test_samples_of_what_was_refused_are_kept_by_feed_and_cause_and_stay_few(desk, client):
    for feed in ("sim", "backup"):
        rows = [(OPEN + n, f"S{n % 3}", 251.0, 250.0) for n in range(500)]
        await desk.send(feed, rows)
    await desk.send("sim", [(OPEN + 1_000, "IWM", 0.0, 250.0)])
    for feed, causes in (("sim", {"crossed": 10, "non-positive": 1}), ("backup", {"crossed": 10})):
        refused = (await client.get(f"/api/v1/feeds/{feed}")).json()["refused_rows"]
        assert {cause: [r["cause"] for r in refused].count(cause) for cause in causes} == causes
        assert len(refused) == sum(causes.values())


async def test_frames_that_could_not_be_read_are_shown_cut_to_a_size(desk, client):
    frames = RefusedFrames()
    for n in range(50):
        frames.saw([b"[", b"\xff" * 5_000], OPEN + n, {"not JSON": 1, f"cause {n}": 1})
    desk.lines["sim"] = LineFigures(unreadable=frames.newest())
    shown = (await client.get("/api/v1/feeds/sim")).json()["unreadable_frames"]
    assert len({each["cause"] for each in shown}) == 20
    assert [each["cause"] for each in shown].count("not JSON") == 3
    assert {(each["bytes"], each["received_together"]) for each in shown} == {(5_000, 2)}
    assert max(len(each["frame"]) for each in shown) <= 4 * 300


async def test_ten_thousand_instruments_come_in_pages_each_once_the_worst_first(desk, client):
    symbols = [f"S{n:05}" for n in range(MANY)]
    await desk.send("sim", [(OPEN, symbol, 10.0, 10.1) for symbol in symbols])
    await desk.send("sim", [(OPEN + 1, "S00007", 10.2, 10.1)])
    seen = []
    while True:
        params = {"limit": 1000, "offset": len(seen), "sort": "symbol"}
        page = (await client.get("/api/v1/feeds/sim/instruments", params=params)).json()
        if not page["instruments"]:
            break
        seen += [row["symbol"] for row in page["instruments"]]
    assert page["total"] == len(seen) == len(set(seen)) == MANY + 3  # three that rules look at were never heard
    assert set(symbols) < set(seen)
    worst = (await client.get("/api/v1/feeds/sim/instruments", params={"sort": "filtered", "limit": 1})).json()
    assert worst["instruments"][0]["symbol"] == "S00007"
    found = (await client.get("/api/v1/feeds/sim/instruments", params={"search": "s0012"})).json()
    assert [row["symbol"] for row in found["instruments"]] == [f"S0012{n}" for n in range(10)]


async def test_silent_ones_come_first_and_are_told_as_one_condition_of_their_feed(desk, client):
    for second in range(0, 600, 2):
        await desk.send("sim", [(OPEN + second * SECOND, s, 10.0, 10.1) for s in ("IWM", "SPY")])
    for second in range(600, 900, 2):
        await desk.send("sim", [(OPEN + second * SECOND, "SPY", 10.0, 10.1)])
    page = (await client.get("/api/v1/feeds/sim/instruments")).json()
    assert page["pulses"] == {"silent": 1, "unheard": 1, "live": 1}
    first = page["instruments"][0]
    assert (first["symbol"], first["pulse"]) == ("IWM", "silent")
    assert (first["silent_seconds"], first["patience_seconds"]) == (300, 120)
    only = (await client.get("/api/v1/feeds/sim/instruments", params={"pulse": "live"})).json()
    assert [row["symbol"] for row in only["instruments"]] == ["SPY"]
    [trouble] = [t for t in await desk.compute.run(Pipeline.troubles, OPEN) if t.name == "instrument-silent"]
    assert (trouble.label, trouble.subject) == ("feed", "sim")
    assert trouble.reason == "1 of its 2 instruments are silent: IWM (for 5m, else every 2s)"
    assert (await client.get("/api/v1/feeds")).json()[0]["instruments_silent"] == 1


async def test_what_was_learnt_of_each_instruments_pace_is_in_the_checkpoint_and_taken_up(desk, client):
    for second in range(0, 600, 2):
        await desk.send("sim", [(OPEN + second * SECOND, s, 10.0, 10.1) for s in ("IWM", "SPY")])
    await desk.save_bars()
    pipeline = desk.pipeline
    state, truth = MarketState(pipeline.state.calendar), TruthFilter()
    recovery = Recovery(desk.store, state, truth)
    await recovery.begin(pipeline.engine.requirements, [], [])
    assert recovery.cadences["symbol"].to_list() == ["IWM", "SPY"]
    assert recovery.cadences["mean"].to_list() == [2e9, 2e9]
    silences = Silences(state.calendar)
    silences.restore(recovery.cadences, truth.codes)
    assert silences.frame(truth.instruments()).equals(recovery.cadences)


async def test_rates_follow_the_machines_clock_and_lags_are_quantiles(desk, client):
    await desk.compute.run(Pipeline.troubles, OPEN)
    for second in range(1, 600):
        await desk.send("sim", [(OPEN + second * SECOND + n, "IWM", 10.0, 10.1) for n in range(5)])
        await desk.compute.run(Pipeline.troubles, OPEN + second * SECOND)
    [sim, _] = (await client.get("/api/v1/feeds")).json()
    assert sim["rows_per_second"] == pytest.approx(5.0, rel=0.01)
    assert sim["receive_to_state"]["p50_seconds"] > 0
    assert sim["event_to_receive"] == {"p50_seconds": None, "p99_seconds": None}  # event time is not the machine's here


def test_quantiles_of_a_lag_are_right_within_a_tenth_and_old_ones_are_forgotten():
    lags = Lags()
    lags.add(pl.Series([n * 1_000_000 for n in range(1, 1_001)]).to_numpy(), 0)
    assert lags.quantile(0.5) == pytest.approx(0.5, rel=0.1)
    assert lags.quantile(0.99) == pytest.approx(0.99, rel=0.1)
    for turn in (1, 2):
        lags.add(pl.Series([10_000_000]).to_numpy(), turn * 300 * SECOND)
    assert lags.quantile(0.99) == pytest.approx(0.01, rel=0.1)


def test_the_way_of_a_batch_is_from_its_rows_times_to_its_receipt():
    rows = [(OPEN - n * SECOND, "IWM", 1.0, 1.1, 1.0, 1.0) for n in range(160)]
    durations, weight = on_the_way(Batch("sim", OPEN, quotes=pl.DataFrame(rows, schema=QUOTES, orient="row")))
    assert weight * len(durations) == 160
    assert durations.min() == 0
    assert durations.max() == 150 * SECOND
    assert on_the_way(Batch("sim", OPEN))[0].size == 0


@pytest.mark.parametrize("path", ["nobody", "nobody/instruments"])
async def test_a_feed_that_is_not_there_is_named(client, path):
    answer = await client.get(f"/api/v1/feeds/{path}")
    assert answer.status_code == 404
    assert "there is no feed 'nobody'" in answer.json()["detail"]


async def test_rows_that_were_sent_in_are_a_feed_of_their_own(desk, client):
    await desk.send("sim", [(OPEN, "IWM", 249.0, 250.0)])
    await desk.send("http", [(OPEN, "IWM", 251.0, 250.0), (OPEN, "SPY", 600.0, 601.0)])
    feeds = (await client.get("/api/v1/feeds")).json()
    assert [feed["name"] for feed in feeds] == ["sim", "backup", "http"]
    sent = (await client.get("/api/v1/feeds/http")).json()
    assert (sent["status"], sent["rows"], sent["filtered"]) == ("live", {"rows": 2}, {"crossed": 1})
    assert [row["row"]["bid"] for row in sent["refused_rows"]] == [251.0]
    shown = (await client.get("/api/v1/feeds/http/instruments", params={"search": "SPY"})).json()
    assert [each["symbol"] for each in shown["instruments"]] == ["SPY"]
    assert (await client.get("/api/v1/feeds/nobody")).status_code == 404
