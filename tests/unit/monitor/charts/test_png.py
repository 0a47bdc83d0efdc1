from __future__ import annotations

import asyncio
import io
import os
import signal

import numpy as np
import pytest

from monitor.charts import raster
from monitor.charts.png import PictureProcessDied, PictureRefused, PictureTimeout, Rasterizer, rasterizer

EMPTY = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="60" height="24"><rect width="60" height="24" fill="#fff"/>{}</svg>'
)
TEXT = EMPTY.format("<text x='4' y='18' font-family='Open Sans' font-size='16'>Rotation</text>")
BOLD = EMPTY.format("<text x='4' y='18' font-family='Open Sans' font-size='16' font-weight='600'>Rotation</text>")


async def test_a_picture_has_text(pixels):
    async with rasterizer() as worker:
        image = pixels(await worker.png(TEXT, 30))
    assert image.shape == (48, 120, 4)
    assert int((image[:, :, :3].max(axis=2) < 100).sum()) > 100


async def test_weights_differ(pixels):
    async with rasterizer() as worker:
        plain, bold = [pixels(await worker.png(svg, 30))[:, :, 0] for svg in (TEXT, BOLD)]
    assert np.sum(255 - bold.astype(int)) > 1.05 * np.sum(255 - plain.astype(int))


async def test_one_worker_draws_them_all_in_turn():
    async with rasterizer() as worker:
        pictures = await asyncio.gather(*(worker.png(EMPTY.format(f"<text y='9'>{i}</text>"), 30) for i in range(8)))
        assert worker.started == 1
    assert pictures == [raster.render(EMPTY.format(f"<text y='9'>{i}</text>")) for i in range(8)]


async def test_a_worker_that_died_is_replaced_and_no_picture_is_missed():
    async with rasterizer() as worker:
        await worker.start()
        os.kill(worker._process.pid, signal.SIGKILL)
        assert await worker.png(TEXT, 30) == raster.render(TEXT)
        assert worker.started == 2


async def test_a_picture_that_kills_every_worker_is_an_error(monkeypatch):
    monkeypatch.setattr(raster, "__file__", os.devnull)
    worker = Rasterizer()
    with pytest.raises(PictureProcessDied):
        await worker.png(TEXT, 30)
    await worker.close()


async def test_what_is_not_done_by_its_deadline_is_given_up_and_the_next_is_right():
    async with rasterizer() as worker:
        await worker.png(TEXT, 30)
        stopped = worker._process
        os.kill(stopped.pid, signal.SIGSTOP)
        with pytest.raises(PictureTimeout, match=r"not done in 0\.1 s"):
            await worker.png(TEXT, 0.1)
        assert stopped.returncode == -signal.SIGKILL
        assert await worker.png(BOLD, 30) == raster.render(BOLD)


async def test_waiting_for_other_pictures_counts():
    async with rasterizer() as worker:
        await worker.start()
        os.kill(worker._process.pid, signal.SIGSTOP)
        first = asyncio.create_task(worker.png(TEXT, 30))
        second = asyncio.create_task(worker.png(BOLD, 0.1))
        with pytest.raises(PictureTimeout):
            await second
        os.kill(worker._process.pid, signal.SIGCONT)
        assert await first == raster.render(TEXT)


async def test_what_is_no_drawing_is_refused_and_the_worker_goes_on():
    async with rasterizer() as worker:
        with pytest.raises(PictureRefused):
            await worker.png("<svg", 30)
        assert await worker.png(TEXT, 30) == raster.render(TEXT)
        assert worker.started == 1


async def test_the_worker_ends_with_its_owner():
    worker = Rasterizer()
    await worker.start()
    process = worker._process
    await worker.close()
    assert process.returncode is not None


def test_the_worker_ends_when_its_input_does():
    answers = io.BytesIO()
    body = TEXT.encode()
    raster.serve(io.BytesIO(raster.LENGTH.pack(len(body)) + body), answers)
    assert answers.getvalue()[4:] == raster.DRAWN + raster.render(TEXT)


def test_text_is_checked():
    raster.check_text()


def test_pictures_without_text_are_noticed(monkeypatch):
    monkeypatch.setattr(raster, "fonts", tuple)
    with pytest.raises(raster.FontMissing, match="no text appears"):
        raster.check_text()


def test_a_missing_font_is_named(monkeypatch):
    monkeypatch.setattr(raster, "_WEIGHTS", ("OpenSans-Nowhere.ttf",))
    raster.fonts.cache_clear()
    try:
        with pytest.raises(raster.FontMissing, match=r"OpenSans-Nowhere\.ttf"):
            raster.check_text()
    finally:
        raster.fonts.cache_clear()
