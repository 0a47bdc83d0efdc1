"""Messages with their pictures, to real servers."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import struct
import tempfile

import pytest
from apprise.plugins.slack import NotifySlack

from monitor.charts.png import rasterizer
from monitor.charts.theme import Theme
from monitor.notify.apprise_sender import AppriseSender
from monitor.pictures.painter import Painter
from tests.integration.notify.servers import mail_server, web_server
from tests.integration.notify.slack import slack_server
from tests.integration.web.desk import CALENDAR
from tests.unit.monitor.notify.samples import until
from tests.unit.monitor.pictures.market import Market

ADDRESSES = "from=monitor@example.com&to=desk@example.com"


def size(png: bytes) -> tuple[int, int]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert png[-8:-4] == b"IEND"
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@pytest.fixture
async def market(tmp_path):
    market = Market(tmp_path)
    await market.morning(lambda told: told.alert == "lead")
    yield market
    market.compute.close()


@pytest.fixture
async def painter(market):
    async with rasterizer() as worker:
        painter = Painter(worker, CALENDAR, deadline=20)
        painter.look_at(market.compute)
        yield painter
        await painter.close()


async def test_a_mail_shows_the_picture_below_its_first_line(market, painter):
    with mail_server() as box:
        url = f"mailto://127.0.0.1:{box.port}?{ADDRESSES}"
        sender = AppriseSender([url], 10, pictures=painter.on(Theme.LIGHT))
        outcome = await sender.send(market.message("lead"))
        await sender.close()
    assert outcome.delivered, outcome.detail
    [mail] = box.mails
    [picture] = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert size(picture.get_content()) == (1350, 630)
    assert picture.get_content_disposition() == "inline"
    html = next(part for part in mail.walk() if part.get_content_type() == "text/html").get_content()
    name = picture.get_filename()
    assert f'<img src="cid:{name}" alt="Small caps lead by' in html
    assert html.count("<img") == 1
    assert picture["Content-ID"] == f"<{name}>"
    assert "State: firing" in [line.strip() for line in box.text(0).splitlines()]


async def test_a_mail_that_is_refused_for_its_picture_comes_without(market, painter):
    with mail_server() as box:
        box.largest = 20_000
        sender = AppriseSender([f"mailto://127.0.0.1:{box.port}?{ADDRESSES}"], 10, pictures=painter.on(Theme.LIGHT))
        outcome = await sender.send(market.message("lead"))
        await sender.close()
    assert outcome.delivered, outcome.detail
    [mail] = box.mails
    assert not [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert "State: firing" in [line.strip() for line in box.text(0).splitlines()]


async def test_a_mail_without_a_picture_comes_on_time(market, painter):
    await painter.warm_up()
    painter._deadline = 0.2
    os.kill(painter._worker._process.pid, signal.SIGSTOP)
    with mail_server() as box:
        sender = AppriseSender([f"mailto://127.0.0.1:{box.port}?{ADDRESSES}"], 10, pictures=painter.on(Theme.LIGHT))
        outcome = await sender.send(market.message("lead"))
        await sender.close()
    assert outcome.delivered, outcome.detail
    [mail] = box.mails
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]


async def test_a_receiver_without_pictures_asks_for_none(market):
    with mail_server() as box:
        sender = AppriseSender([f"mailto://127.0.0.1:{box.port}?{ADDRESSES}"], 10)
        assert (await sender.send(market.message("lead"))).delivered
        await sender.close()
    assert not [part for part in box.mails[0].walk() if part.get_content_maintype() == "image"]


async def test_a_json_post_has_it_as_base64(market, painter):
    with web_server() as hook:
        sender = AppriseSender([f"json://127.0.0.1:{hook.port}/hook"], 10, pictures=painter.on(Theme.DARK))
        outcome = await sender.send(market.message("lead"))
        await sender.close()
    assert outcome.delivered, outcome.detail
    [attached] = hook.posts[0]["attachments"]
    assert attached["mimetype"] == "image/png"
    assert size(base64.b64decode(attached["base64"])) == (1350, 630)


@pytest.fixture
def slack(monkeypatch):
    with slack_server() as server:
        monkeypatch.setattr(NotifySlack, "api_url", server.url + "/api/{}")
        yield server


SLACK = "slack://xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d/#desk"


async def told(slack, market, painter, calls):
    sender = AppriseSender([SLACK], 10, pictures=painter.on(Theme.LIGHT))
    outcome = await sender.send(market.message("lead"))
    await until(lambda: len(slack.calls) >= calls)
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "notify picture"))
    await sender.close()
    return outcome


async def test_slack_gets_the_text_and_then_the_picture_in_the_same_channel(slack, market, painter):
    outcome = await told(slack, market, painter, 5)
    assert outcome.delivered, outcome.detail
    assert [call for call, _ in slack.calls] == [
        "chat.postMessage",
        "chat.postMessage",
        "files.getUploadURLExternal",
        "upload",
        "files.completeUploadExternal",
    ]
    assert b"Small caps lead by" in slack.calls[1][1]
    uploaded = slack.calls[3][1]
    assert size(uploaded[uploaded.index(b"\x89PNG") : uploaded.rindex(b"IEND") + 8]) == (1350, 630)
    assert json.loads(slack.calls[4][1])["channel_id"] == "C123"


async def test_slack_has_the_text_once_though_it_refuses_the_picture(slack, market, painter):
    slack.refuses.add("files.getUploadURLExternal")
    refused = []
    painter._on_outcome = lambda outcome, _: refused.append(outcome)
    outcome = await told(slack, market, painter, 3)
    assert outcome.delivered, outcome.detail
    assert refused == ["drawn", "refused"]
    assert sum(b'"blocks"' in body for call, body in slack.calls if call == "chat.postMessage") == 1


async def test_no_file_is_written(market, painter, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.chdir(tmp_path / "temporary")
    with mail_server() as box:
        sender = AppriseSender([f"mailto://127.0.0.1:{box.port}?{ADDRESSES}"], 10, pictures=painter.on(Theme.LIGHT))
        assert (await sender.send(market.message("lead"))).delivered
        await sender.close()
    assert list((tmp_path / "temporary").iterdir()) == []
