from __future__ import annotations

import asyncio
import datetime as dt
import math
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.notify import http_client
from monitor.notify.http_client import retry_after
from monitor.notify.sender import Verdict

WALL = 1_769_180_850_000_000_000
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (200, Verdict.DELIVERED),
        (204, Verdict.DELIVERED),
        (301, Verdict.FATAL),
        (400, Verdict.REJECTED),
        (401, Verdict.FATAL),
        (404, Verdict.FATAL),
        (408, Verdict.TRANSIENT),
        (413, Verdict.REJECTED),
        (422, Verdict.REJECTED),
        (429, Verdict.TRANSIENT),
        (500, Verdict.TRANSIENT),
        (503, Verdict.TRANSIENT),
    ],
)
def test_the_status_decides(status, wanted):
    assert http_client.verdict(status) is wanted


@pytest.mark.parametrize("status", [429, 503])
@given(seconds=st.integers(0, 10_000_000))
def test_both_forms_say_the_same(status, seconds):
    date = format_datetime(dt.datetime.fromtimestamp(WALL // SECOND + seconds, dt.UTC), usegmt=True)
    assert retry_after(status, str(seconds), WALL) == seconds
    assert retry_after(status, date, WALL) == pytest.approx(seconds, abs=1e-3)


@pytest.mark.parametrize("status", [200, 400, 404, 500, 502])
def test_only_a_service_that_is_busy_is_asked_when(status):
    assert retry_after(status, "30", WALL) is None


@pytest.mark.parametrize("value", [None, "", "soon", "-5", "nan", "inf", "1e999", "Fri, 99 Foo 2026", "9" * 400])
def test_what_cannot_be_read_is_no_wish(value):
    assert retry_after(429, value, WALL) is None


@given(st.text())
def test_whatever_stands_there_is_seconds_or_nothing(value):
    found = retry_after(503, value, WALL)
    assert found is None or (found >= 0 and math.isfinite(found))


def test_a_date_that_is_over_is_now():
    assert retry_after(429, "Fri, 31 Dec 1999 23:59:59 GMT", WALL) == 0.0


@pytest.mark.parametrize("place", ["http://xn--a/", "mailto:x", "http://[::1", "http://a:99999999/", "/there"])
def test_a_redirection_is_an_answer_wherever_it_points(place):
    async def answers(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async def posted():
        async with await asyncio.start_server(answers, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            client = http_client.HttpClient(5.0)
            try:
                return await client.post(f"http://127.0.0.1:{port}/", b"", {})
            finally:
                await client.close()

    assert asyncio.run(posted()).verdict is Verdict.FATAL
