"""Messages with their pictures, to real servers."""

from __future__ import annotations

import struct

import pytest

from monitor.charts.png import rasterizer
from monitor.charts.theme import Theme
from monitor.notify.apprise_sender import AppriseSender
from monitor.pictures.painter import Painter
from tests.integration.notify.servers import mail_server, web_server
from tests.integration.web.desk import CALENDAR
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
