"""The daily heartbeat over a dispatcher and a store, with the machine's clock turned by hand."""

from __future__ import annotations

import datetime as dt

import pytest

from monitor.alerting.dispatcher import Dispatcher
from monitor.alerting.policy import told_at_once
from monitor.heartbeat import Heartbeat
from monitor.notify.message import Kind, Notification
from monitor.notify.values import NEW_YORK
from monitor.settings.heartbeat import HeartbeatSettings
from tests.integration.web.desk import CALENDAR, WALL, Desk, ny

DAY = 24 * 3_600 * 10**9


class Morning:
    """A desk with a heartbeat to two receivers at 08:30; `settings` change that."""

    def __init__(self, desk: Desk, **settings) -> None:
        self.desk, self.now = desk, 0
        self._config = HeartbeatSettings.model_validate({"to": ["desk", "mail"]} | settings)

    async def look(self, at: str) -> list[Notification]:
        """Look at the clock at a time of New York; everything that is in the outbox since the last look."""
        self.now = ny(at)
        await Heartbeat(self._config, self.desk, CALENDAR, NEW_YORK, lambda: self.now).look()
        await self.desk.dispatcher.step()
        return [Notification.decode(e.fields) for e in await self.desk.store.take_outbox("test", 100, 0)]

    async def restart(self) -> None:
        self.desk.dispatcher = Dispatcher(self.desk.store, told_at_once(["desk"], CALENDAR), exact=True)
        await self.desk.dispatcher.load(0)
        self.desk.dispatcher.book.evaluated()


@pytest.fixture
async def running(desk: Desk) -> Desk:
    await desk.store.acquire("test")
    desk.dispatcher.book.evaluated()
    return desk


async def test_it_is_told_once_a_session_whatever_is_started_again(running: Desk):
    morning = Morning(running)
    assert await morning.look("2026-01-22 12:00") == [], "who starts at noon is not told of the morning"
    assert await morning.look("2026-01-23 08:29") == []
    await morning.restart()
    first = await morning.look("2026-01-23 08:30")
    assert [(n.key, n.kind) for n in first] == [
        ("heartbeat@2026-01-23:note:1:desk", Kind.NOTE),
        ("heartbeat@2026-01-23:note:1:mail", Kind.NOTE),
    ]
    assert await morning.look("2026-01-23 08:31") == []
    await morning.restart()
    assert await morning.look("2026-01-23 20:00") == []
    assert await morning.look("2026-01-22 09:00") == [], "a clock that is set back tells nothing again"
    assert await morning.look("2026-01-25 12:00") == [], "a Sunday"
    await morning.restart()
    late = await morning.look("2026-01-26 15:00")
    assert [n.episode for n in late] == ["heartbeat@2026-01-26"] * 2, "what nobody was there to tell is told late, once"


async def test_a_clock_that_was_a_year_ahead_keeps_it_silent_for_no_year(running: Desk):
    morning = Morning(running, to="desk")
    assert await morning.look("2026-01-22 12:00") == []
    assert [n.episode for n in await morning.look("2027-01-22 08:30")] == ["heartbeat@2027-01-22"]
    assert await morning.look("2026-01-22 12:05") == []
    await morning.restart()
    assert [n.episode for n in await morning.look("2026-01-23 08:30")] == ["heartbeat@2026-01-23"]
    assert await morning.look("2026-01-23 08:31") == []


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ("2026-03-08 02:29", "2026-03-08 03:30"),  # that night has no half past two
        ("2026-11-01 00:59", "2026-11-01 02:30"),
        ("2026-11-26 02:29", "2026-11-26 02:30"),  # a holiday
    ],
)
async def test_every_day_has_one_whatever_its_clock_does(running: Desk, before, told):
    morning = Morning(running, days="all", to="desk", at="02:30")
    assert await morning.look(before) == []
    assert len(await morning.look(told)) == 1
    assert await morning.look(told[:10] + " 23:59") == []


@pytest.mark.parametrize(
    ("before", "told", "episode"),
    [
        ("2026-03-06 12:00", "2026-03-09 08:30", "heartbeat@2026-03-09"),  # the clocks went forward meanwhile
        ("2026-11-25 12:00", "2026-11-27 08:30", "heartbeat@2026-11-27"),  # after a holiday, before an early close
    ],
)
async def test_sessions_have_one_and_holidays_none(running: Desk, before, told, episode):
    morning = Morning(running, to="desk")
    assert await morning.look(before) == []
    day_before = (dt.date.fromisoformat(told[:10]) - dt.timedelta(days=1)).isoformat()
    assert await morning.look(f"{day_before} 09:00") == []
    assert [n.episode for n in await morning.look(told)] == [episode]


async def test_it_may_be_told_on_every_day(running: Desk):
    morning = Morning(running, days="all", to="desk", at="00:00")
    assert await morning.look("2026-01-24 12:00") == []
    assert [n.episode for n in await morning.look("2026-01-25 00:00")] == ["heartbeat@2026-01-25"]


async def test_it_says_what_is_evaluated_up_fired_unknown_and_dead(running: Desk, monkeypatch):
    await running.trades(ny("2026-01-23 10:00"), IWM=250.0, SPY=600.0)
    await running.trades(ny("2026-01-23 10:05"), IWM=253.0, SPY=600.0)
    await running.store.take_outbox("test", 100, 0)
    monkeypatch.setattr(running, "feeds", lambda: [{"name": "a", "status": "live"}, {"name": "b", "status": "stopped"}])
    running.dispatcher.book.ledger.beat("2026-01-01")
    seen = Heartbeat(HeartbeatSettings(to=("desk",)), running, CALENDAR, NEW_YORK, lambda: WALL)
    await seen.look()
    await running.dispatcher.step()
    (note,) = [Notification.decode(e.fields) for e in await running.store.take_outbox("test", 100, 0)]
    assert note.summary == (
        "the monitor is there: 2 of 2 rules evaluated, 1 of 2 feeds up, 1 alerts fired in 24 h, "
        "1 rules unknown, 0 dead letters"
    )
    assert note.annotations == {"feeds_down": "b", "rules_unknown": "up-a-lot"}
    later = Heartbeat(HeartbeatSettings(to=("desk",)), running, CALENDAR, NEW_YORK, lambda: WALL + 7 * DAY)
    await later.look()
    await running.dispatcher.step()
    (note,) = [Notification.decode(e.fields) for e in await running.store.take_outbox("test", 100, 0)]
    assert "0 alerts fired in 24 h" in note.summary
