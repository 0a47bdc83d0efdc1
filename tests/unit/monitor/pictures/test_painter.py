from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace

import pytest

from monitor.charts import raster
from monitor.charts.png import Rasterizer
from monitor.charts.theme import Theme
from monitor.notify.compose import message
from monitor.notify.message import Kind
from monitor.pictures import painter as painting
from monitor.pictures.painter import Painter
from tests.integration.web.desk import CALENDAR

PNG = b"\x89PNG"


class Studio:
    """A painter, its worker, and what it said became of pictures."""

    def __init__(self, market, deadline=20.0):
        self.worker = Rasterizer()
        self.outcomes: list[str] = []
        self.painter = Painter(
            self.worker, CALENDAR, deadline=deadline, on_outcome=lambda outcome, _: self.outcomes.append(outcome)
        )
        self.painter.look_at(market.compute)
        self.desk = self.painter.on(Theme.LIGHT)

    async def close(self):
        await self.painter.close()
        await self.worker.close()


@pytest.fixture
async def studio(market):
    studio = Studio(market)
    yield studio
    await studio.close()


async def test_two_receivers_of_the_same_news_have_one_picture_drawn(market, studio):
    news = market.message("lead")
    first, second = await asyncio.gather(studio.desk.of(news), studio.desk.of(replace(news, receiver="mail")))
    assert first is second
    assert first.png.startswith(PNG)
    assert first.name == "lead-2026-01-23.1.png"
    assert studio.outcomes == ["drawn"]
    dark = await studio.painter.on(Theme.DARK).of(news)
    assert dark.png != first.png


async def test_a_group_has_the_picture_of_its_first(market, studio):
    await market.morning(lambda told: told.alert == "fall")
    told = [n for n in market.told if n.kind is Kind.FIRING and n.alert in ("lead", "fall")]
    group = message("desk", told)
    picture = await studio.desk.of(group)
    assert group.alerts[0].alert == "fall"
    assert picture.words.startswith(group.alerts[0].summary)


async def test_a_note_has_none_and_is_not_counted(market, studio):
    news = market.message("lead")
    assert await studio.desk.of(replace(news, kind=Kind.NOTE)) is None
    assert await studio.desk.of(replace(news, evidence={})) is None
    assert studio.outcomes == []


async def test_a_rule_that_is_gone_has_none(market, studio):
    assert await studio.desk.of(replace(market.message("lead"), alert="gone")) is None
    assert studio.outcomes == ["nothing"]


async def test_a_worker_that_hangs_costs_the_deadline_and_is_done_later(market, studio):
    await studio.painter.warm_up()
    studio.painter._deadline = 0.2
    os.kill(studio.worker._process.pid, signal.SIGSTOP)
    began = asyncio.get_running_loop().time()
    assert await studio.desk.of(market.message("lead")) is None
    assert asyncio.get_running_loop().time() - began < 5
    assert studio.outcomes == ["late"]
    os.kill(studio.worker._process.pid, signal.SIGCONT)
    studio.painter._deadline = 20
    assert (await studio.desk.of(market.message("lead"))).png.startswith(PNG)
    assert studio.outcomes == ["late", "drawn"]
    assert studio.worker.started == 1


async def test_one_that_never_ends_is_given_up_and_the_next_has_a_new_worker(market, studio, monkeypatch):
    monkeypatch.setattr(painting, "_HUNG", 0.2)
    await studio.painter.warm_up()
    os.kill(studio.worker._process.pid, signal.SIGSTOP)
    assert await studio.desk.of(market.message("lead")) is None
    assert studio.outcomes == ["failed"]
    monkeypatch.setattr(painting, "_HUNG", 20)
    assert (await studio.painter.on(Theme.DARK).of(market.message("lead"))).png.startswith(PNG)


async def test_a_worker_that_cannot_live_is_a_message_without_a_picture(market, studio, monkeypatch):
    monkeypatch.setattr(raster, "__file__", os.devnull)
    await studio.painter.warm_up()
    assert await studio.desk.of(market.message("lead")) is None
    assert studio.outcomes == ["failed"]


async def test_a_picture_too_large_is_not_sent(market, studio, monkeypatch):
    monkeypatch.setattr(painting, "_LARGEST", 1_000)
    assert await studio.desk.of(market.message("lead")) is None
    assert studio.outcomes == ["failed"]


async def test_an_error_of_the_drawing_is_no_error_of_the_message(market, studio, monkeypatch):
    monkeypatch.setattr(painting, "drawing", lambda *_: 1 / 0)
    assert await studio.desk.of(market.message("lead")) is None
    assert studio.outcomes == ["failed"]


async def test_a_burst_goes_without_rather_than_waits(market, studio):
    await studio.painter.warm_up()
    news = market.message("lead")
    os.kill(studio.worker._process.pid, signal.SIGSTOP)
    studio.painter._deadline = 0.5
    pictures = await asyncio.gather(*(studio.desk.of(replace(news, episode=f"lead-{i}")) for i in range(30)))
    assert set(pictures) == {None}
    assert studio.outcomes.count("busy") == 22
    assert studio.outcomes.count("late") == 8


async def test_before_there_is_a_pipeline_there_are_none(market, studio):
    early = Painter(studio.worker, CALENDAR)
    assert await early.on(Theme.LIGHT).of(market.message("lead")) is None
    await early.close()


async def test_pictures_that_were_sent_are_forgotten(market, studio):
    news = market.message("lead")
    for i in range(20):
        assert await studio.desk.of(replace(news, episode=f"lead-{i}", alert="gone")) is None
    assert len(studio.painter._made) == 16
