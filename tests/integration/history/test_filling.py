"""What is missing of the past when the monitor starts: asked for, stored, taken in, and said where it cannot be."""

from __future__ import annotations

from http import HTTPStatus

from monitor.calendar import TradingCalendar
from monitor.health import HealthBoard
from monitor.history.filling import HISTORY_INCOMPLETE, Filling
from monitor.history.gaps import stored_days
from monitor.settings import Settings
from monitor.store.memory import MemoryStore
from tests.integration.history.test_backfill import CALENDAR, FIRST, LAST, days, settings, store
from tests.servers.alpaca_bars import alpaca_bars
from tests.servers.http import Answer

SESSIONS = ("2026-01-20", "2026-01-21", "2026-01-22", "2026-01-23")


class Monitor:
    """What filling sees of a daemon; `taken` counts the times it was told to look into the store."""

    def __init__(self, kept: MemoryStore, config: Settings, calendar: TradingCalendar = CALENDAR) -> None:
        self.taken = 0
        self.health = HealthBoard(config.told)
        self.filling = Filling(config, calendar, kept, self.health, self._instruments, self._take)

    async def _instruments(self) -> list[str]:
        return ["SPY", "IWM"]

    async def _take(self) -> None:
        self.taken += 1

    def problems(self) -> list[str]:
        return [held["reason"] for held in self.health.conditions() if held["name"] == HISTORY_INCOMPLETE]


async def test_gaps_are_filled_and_taken_in(monkeypatch):
    monkeypatch.setattr("monitor.history.filling.last_session", lambda *_: LAST)
    async with alpaca_bars({"IWM": days(250, *SESSIONS), "SPY": days(600, *SESSIONS)}) as vendor:
        kept = await store()
        monitor = Monitor(kept, settings(vendor.base))
        await monitor.filling.run()
        assert (await stored_days(kept, FIRST, LAST)).height == 8
        assert (monitor.taken, monitor.problems()) == (1, [])
        asked = len(vendor.asked)
        await monitor.filling.run()
        assert len(vendor.asked) == asked


async def test_what_the_vendor_lacks_or_refuses_is_a_problem_until_it_is_there(monkeypatch):
    monkeypatch.setattr("monitor.history.filling.last_session", lambda *_: LAST)
    refusal = Answer(HTTPStatus.FORBIDDEN, {"message": "subscription does not permit this"})
    bars = {"IWM": days(250, *SESSIONS), "SPY": days(600, *SESSIONS[:3])}
    async with alpaca_bars(bars, script=[refusal]) as vendor:
        kept = await store()
        monitor = Monitor(kept, settings(vendor.base))
        await monitor.filling.run()
        assert "subscription does not permit this" in monitor.problems()[0]
        await monitor.filling.run()
        assert monitor.problems() == ["alpaca has no bars up to 2026-01-23 of SPY"]
        bars["SPY"] += days(600, SESSIONS[3])
        await monitor.filling.run()
        assert monitor.problems() == []
        assert (await stored_days(kept, FIRST, LAST)).height == 8


async def test_what_of_a_vendors_history_was_left_out_is_said(monkeypatch):
    monkeypatch.setattr("monitor.history.filling.last_session", lambda *_: LAST)
    bars = {"IWM": days(250, *SESSIONS), "SPY": [*days(600, *SESSIONS[:3]), days(600, SESSIONS[3])[0] | {"h": 1}]}
    async with alpaca_bars(bars) as vendor:
        monitor = Monitor(await store(), settings(vendor.base))
        await monitor.filling.run()
    (problem,) = monitor.problems()
    assert "alpaca has no bars up to 2026-01-23 of SPY" in problem
    assert "1 bar left out: crossed, such as SPY 2026-01-23 05:00:00+00:00: open 600, high 1" in problem
