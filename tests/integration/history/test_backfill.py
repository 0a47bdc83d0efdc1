"""Backfill against the vendor on loopback: only what is missing, and it goes on after an end in the middle."""

from __future__ import annotations

import datetime as dt
from http import HTTPStatus

import pytest

from connectors.rest import RestError
from monitor.calendar import TradingCalendar
from monitor.history.backfill import backfill, closes_of, differences, last_session
from monitor.history.gaps import Gap, stored_days
from monitor.history.sources import NoSource, entry_of, opened
from monitor.recovery import read_frame
from monitor.settings import Settings
from monitor.store.memory import MemoryStore
from tests.servers.alpaca_bars import KEY, SECRET, alpaca_bars
from tests.servers.http import Answer
from tests.servers.massive import KEY as MASSIVE_KEY
from tests.servers.massive import massive_aggregates

CALENDAR = TradingCalendar()
FIRST, LAST = dt.date(2026, 1, 20), dt.date(2026, 1, 23)
DAYS = ("2026-01-20", "2026-01-21", "2026-01-22", "2026-01-23")


def days(close, *dates):
    """Day bars as the vendor stamps them: midnight in New York, which is 05:00 UTC in winter."""
    return [{"t": f"{d}T05:00:00Z", "o": close, "h": close, "l": close, "c": close, "v": 10} for d in dates]


def settings(base, **feeds):
    feeds = feeds or {"iex": {"type": "alpaca", "key": KEY, "secret": SECRET}}
    history = [{"type": "alpaca", "from": "2026-01-20", "url": base, "per_minute": 60_000}]
    return Settings.model_validate({"feeds": feeds, "history": history})


async def store():
    made = MemoryStore()
    await made.open()
    await made.acquire("test")
    return made


async def fill(config, kept, symbols=("IWM", "SPY")):
    async with opened(config, entry_of(config, "iex")) as source:
        return await backfill(source, kept, CALENDAR, symbols, FIRST, LAST)


async def test_what_is_missing_is_stored_and_what_the_vendor_lacks_is_listed():
    async with alpaca_bars({"IWM": days(250, *DAYS), "SPY": days(600, *DAYS[:1], *DAYS[2:])}) as vendor:
        kept = await store()
        result = await fill(settings(vendor.base), kept)
    assert result.bars == 7
    assert result.missing == [Gap("SPY", dt.date(2026, 1, 21), dt.date(2026, 1, 21), 1)]
    assert (await stored_days(kept, FIRST, LAST)).height == 7
    frame = read_frame((await kept.load_bars("1d", ["2026-01-22"]))[0].data)
    assert sorted(frame.select("symbol", "close").cast({"symbol": str}).rows()) == [("IWM", 250.0), ("SPY", 600.0)]


async def test_a_second_run_asks_for_nothing():
    async with alpaca_bars({"IWM": days(250, *DAYS), "SPY": days(600, *DAYS)}) as vendor:
        kept, config = await store(), settings(vendor.base)
        await fill(config, kept)
        asked = len(vendor.asked)
        again = await fill(config, kept)
        assert (again.bars, again.missing, len(vendor.asked)) == (0, [], asked)


async def test_it_goes_on_where_it_was_cut_off(monkeypatch):
    monkeypatch.setattr("monitor.history.backfill._ROWS", 1)  # written a page at a time
    refusal = Answer(HTTPStatus.FORBIDDEN, {"message": "subscription does not permit this"})
    bars = {"IWM": days(250, *DAYS), "SPY": days(600, *DAYS)}
    async with alpaca_bars(bars, script=[first_page(bars, 3), refusal]) as vendor:
        kept, config = await store(), settings(vendor.base)
        with pytest.raises(RestError, match="subscription does not permit"):
            await fill(config, kept)
        assert (await stored_days(kept, FIRST, LAST)).height == 3
        result = await fill(config, kept)
    assert result.bars == 5
    assert result.missing == []
    assert (await stored_days(kept, FIRST, LAST)).height == 8


def first_page(bars, count):
    """The first page by hand, with a token for the next."""
    return Answer(HTTPStatus.OK, {"bars": {"IWM": bars["IWM"][:count]}, "next_page_token": str(count)})


async def test_two_sources_are_compared():
    one, other = days(250, *DAYS), [*days(250, *DAYS[:3]), *days(250.5, DAYS[3])]
    closes = []
    for bars in (one, other):
        async with alpaca_bars({"IWM": bars}) as vendor:
            config = settings(vendor.base)
            async with opened(config, entry_of(config, "iex")) as source:
                closes.append(await closes_of(source, CALENDAR, ["IWM"], FIRST, LAST))
    apart = differences(closes[0], closes[1], 10 / 10_000)
    assert apart.select("ts", "symbol", "close", "other").rows() == [(LAST, "IWM", 250.0, 250.5)]
    assert differences(closes[0], closes[1], 30 / 10_000).is_empty()


def test_a_feed_without_bars_is_named():
    config = Settings.model_validate({"feeds": {"k": {"type": "kraken", "symbols": ["BTC/USD"]}}})
    with pytest.raises(NoSource, match="`k` is of type kraken, which has no bars of the past"):
        entry_of(config, "k")
    with pytest.raises(NoSource, match="there is no feed `x`: there is k"):
        entry_of(config, "x")


def test_the_last_session_has_closed():
    close = CALENDAR.close_ns(CALENDAR.ordinal_on_or_before(LAST))
    assert last_session(CALENDAR, close) == dt.date(2026, 1, 22)
    assert last_session(CALENDAR, close + 1) == LAST


def minutes(close, day, count):
    """Minutes from 14:30 UTC on, the open in winter; and one of the evening before, which is no session's."""
    times = [f"{day}T{(870 + n) // 60:02d}:{(870 + n) % 60:02d}:00Z" for n in range(count)]
    return [{"t": t, "o": close, "h": close, "l": close, "c": close + n / 100, "v": 10} for n, t in enumerate(times)]


async def test_minutes_are_stored_beside_those_that_are_there():
    wanted = {"IWM": [*minutes(250, "2026-01-22", 5), {**days(1, "2026-01-23")[0], "t": "2026-01-23T02:00:00Z"}]}
    wanted["IWM"] += minutes(260, "2026-01-23", 3)
    first, last = dt.date(2026, 1, 22), dt.date(2026, 1, 23)
    async with alpaca_bars(wanted) as vendor:
        kept, config = await store(), settings(vendor.base)
        async with opened(config, entry_of(config, "iex")) as source:
            result = await backfill(source, kept, CALENDAR, ["IWM"], first, last, "1m")
            asked = len(vendor.asked)
            again = await backfill(source, kept, CALENDAR, ["IWM"], first, last, "1m")
    assert (result.bars, result.missing) == (8, [])  # the evening's is not among them
    assert (again.bars, len(vendor.asked)) == (0, asked)
    frames = [read_frame(chunk.data) for chunk in await kept.load_bars("1m", await kept.bar_chunks("1m"))]
    assert [frame.height for frame in frames] == [5, 3]
    assert frames[1]["close"].to_list() == pytest.approx([260, 260.01, 260.02])


async def test_the_other_vendor_is_filled_in_the_same_way():
    stamps = {d: int(dt.datetime.fromisoformat(f"{d}T05:00:00+00:00").timestamp() * 1000) for d in DAYS}
    bars = {"IWM": [{"t": stamps[d], "o": 250, "h": 251, "l": 249, "c": 250.5, "v": 10, "n": 1} for d in DAYS]}
    bars["SPY"] = [bar | {"c": 600, "h": 601} for bar in bars["IWM"][:3]]
    async with massive_aggregates(bars) as vendor:
        config = Settings.model_validate(
            {
                "feeds": {"m": {"type": "massive", "key": MASSIVE_KEY}},
                "history": [{"type": "massive", "from": "2026-01-20", "url": vendor.base, "per_minute": 60_000}],
            }
        )
        kept = await store()
        async with opened(config, entry_of(config, "m")) as source:
            result = await backfill(source, kept, CALENDAR, ["IWM", "SPY"], FIRST, LAST)
    assert (result.bars, result.missing) == (7, [Gap("SPY", LAST, LAST, 1)])
    frame = read_frame((await kept.load_bars("1d", ["2026-01-22"]))[0].data)
    assert sorted(frame.select("symbol", "close").cast({"symbol": str}).rows()) == [("IWM", 250.5), ("SPY", 600.0)]


def bar(day, close, **changed):
    return days(close, day)[0] | changed


async def test_bars_that_cannot_be_are_left_out_counted_and_missing_still():
    wrong = [
        bar(DAYS[0], 250, h=249),  # high below its low
        bar(DAYS[1], 250, c=0),
        bar(DAYS[2], 250, v=1e15),
        bar(DAYS[3], 250, c=260, h=251),  # a close above the high
    ]
    async with alpaca_bars({"IWM": wrong, "SPY": days(600, *DAYS)}) as vendor:
        kept = await store()
        result = await fill(settings(vendor.base), kept)
    assert result.refused.counts == {"crossed": 2, "non-positive": 1, "absurd-size": 1}
    assert result.refused.examples["crossed"].startswith("IWM 2026-01-20 05:00:00+00:00: open 250, high 249")
    assert result.missing == [Gap("IWM", FIRST, LAST, 4)]
    assert result.bars == 4
    assert (await stored_days(kept, FIRST, LAST))["symbol"].unique().to_list() == ["SPY"]


async def test_one_wild_close_asked_for_by_itself_is_held_against_those_stored():
    async with alpaca_bars({"IWM": days(250, *DAYS[:2], DAYS[3])}) as vendor:
        kept = await store()
        await fill(settings(vendor.base), kept, ["IWM"])
    async with alpaca_bars({"IWM": days(2500, DAYS[2])}) as vendor:
        result = await fill(settings(vendor.base), kept, ["IWM"])
    assert (result.bars, result.refused.counts) == (0, {"spike": 1})
    assert [gap.first for gap in result.missing] == [dt.date(2026, 1, 22)]
    async with alpaca_bars({"IWM": days(251, DAYS[2])}) as vendor:
        assert (await fill(settings(vendor.base), kept, ["IWM"])).missing == []


@pytest.mark.parametrize("row", [0, 7, 29])
async def test_a_wild_minute_is_left_out(row):
    wanted = [minute | {"h": minute["c"]} for minute in minutes(250, "2026-01-22", 30)]
    wanted[row] |= {name: 10 * wanted[row][name] for name in "ohlc"}
    async with alpaca_bars({"IWM": wanted}) as vendor:
        kept, config = await store(), settings(vendor.base)
        async with opened(config, entry_of(config, "iex")) as source:
            day = dt.date(2026, 1, 22)
            result = await backfill(source, kept, CALENDAR, ["IWM"], day, day, "1m")
    assert (result.bars, result.refused.counts) == (29, {"spike": 1})
    (chunk,) = await kept.load_bars("1m", await kept.bar_chunks("1m"))
    assert read_frame(chunk.data)["close"].max() < 251


async def test_what_was_not_asked_for_or_comes_twice_is_not_stored_twice():
    answer = {
        "IWM": [*days(250, *DAYS), bar(DAYS[3], 252), bar("2027-01-04", 250), bar("2025-12-01", 250)],
        "XYZ": days(1, *DAYS),
    }
    script = [Answer(HTTPStatus.OK, {"bars": answer, "next_page_token": None})]
    async with alpaca_bars({}, script=script) as vendor:
        kept = await store()
        result = await fill(settings(vendor.base), kept, ["IWM"])
    assert result.refused.counts == {"not-asked-for": 6, "duplicate": 1}
    assert result.bars == 4
    stored = await stored_days(kept, dt.date.min, dt.date.max)
    assert sorted(stored.rows()) == [(dt.date.fromisoformat(day), "IWM") for day in DAYS]
    assert read_frame((await kept.load_bars("1d", [DAYS[3]]))[0].data)["close"].to_list() == [252.0]


async def test_bars_that_cannot_be_read_are_counted_too():
    unread = [bar(DAYS[0], 250, t="never"), bar(DAYS[1], -1)]
    script = [Answer(HTTPStatus.OK, {"bars": {"IWM": unread}, "next_page_token": None})]
    async with alpaca_bars({}, script=script) as vendor:
        result = await fill(settings(vendor.base), await store(), ["IWM"])
    assert result.refused.counts == {"unreadable time": 1, "negative number": 1}
    assert result.refused.lines == ["1 bar left out: negative number", "1 bar left out: unreadable time"]


async def test_what_came_before_a_refusal_is_stored():
    bars = {"IWM": days(250, *DAYS)}
    refusal = Answer(HTTPStatus.FORBIDDEN, {"message": "subscription does not permit this"})
    async with alpaca_bars(bars, script=[first_page(bars, 3), refusal]) as vendor:
        kept = await store()
        with pytest.raises(RestError, match="subscription does not permit"):
            await fill(settings(vendor.base), kept)
    assert (await stored_days(kept, FIRST, LAST)).height == 3
