"""Splits, dividends and new symbols of vendors: page by page, as their own clients read them."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from http import HTTPStatus

import pytest
from alpaca.data.enums import CorporateActionsType
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.requests import CorporateActionsRequest
from massive import RESTClient

from connectors.alpaca import history as alpaca
from connectors.alpaca.actions import AlpacaActions
from connectors.massive import history as massive
from connectors.massive.actions import MassiveActions
from connectors.rest import Rest, RestError
from monitor.history.vendor_actions import vendor_actions
from monitor.settings import load_settings
from tests.servers import alpaca_bars
from tests.servers.corporate_actions import corporate_actions
from tests.servers.http import Answer, http_server
from tests.servers.massive import KEY

FIRST, LAST = dt.date(2000, 1, 1), dt.date(2026, 12, 31)
ALPACA = alpaca.headers(alpaca_bars.KEY, alpaca_bars.SECRET)
MASSIVE = massive.headers(KEY)


def rest(base, headers):
    return Rest(base, headers, per_minute=60_000, monotonic=time.monotonic, now_ns=time.time_ns, attempts=1)


async def rows(source, *symbols):
    return sorted([row async for frame in source.actions(symbols, FIRST, LAST) for row in frame.rows()])


async def test_alpacas_pages_are_read_as_its_own_client_reads_them():
    async with corporate_actions() as server, rest(server.base, ALPACA) as line:
        found = await rows(AlpacaActions(line), "NVDA", "SOXS", "META")
        pages = len(server.asked)
        client = CorporateActionsClient(alpaca_bars.KEY, alpaca_bars.SECRET, url_override=server.base)
        types = [CorporateActionsType.FORWARD_SPLIT, CorporateActionsType.REVERSE_SPLIT]
        request = CorporateActionsRequest(symbols=["NVDA", "SOXS"], types=types, start=FIRST, end=LAST)
        theirs = (await asyncio.to_thread(client.get_corporate_actions, request)).data
    assert pages == 5
    assert found == [
        (dt.date(2024, 6, 10), "FB", "symbol", 1.0, 0.0, "META"),
        (dt.date(2024, 6, 10), "NVDA", "split", 10.0, 0.0, ""),
        (dt.date(2024, 6, 11), "NVDA", "dividend", 1.0, 0.01, ""),
        (dt.date(2026, 2, 5), "SOXS", "split", 0.05, 0.0, ""),
    ]
    splits = [s for kind in ("forward_splits", "reverse_splits") for s in theirs[kind]]
    assert [(s.ex_date, s.symbol, s.new_rate / s.old_rate) for s in splits] == [
        (row[0], row[1], row[3]) for row in found if row[2] == "split"
    ]


async def test_massives_pages_are_read_as_its_own_client_reads_them():
    async with corporate_actions() as server, rest(server.base, MASSIVE) as line:
        found = await rows(MassiveActions(line), "AAPL")
        client = RESTClient(KEY, base=server.base)
        splits = await asyncio.to_thread(lambda: list(client.list_splits("AAPL")))
        dividends = await asyncio.to_thread(lambda: list(client.list_dividends("AAPL")))
    assert found == [
        (dt.date(2005, 2, 28), "AAPL", "split", 2.0, 0.0, ""),
        (dt.date(2020, 8, 31), "AAPL", "split", 4.0, 0.0, ""),
        (dt.date(2021, 11, 5), "AAPL", "dividend", 1.0, 0.22, ""),
    ]
    assert sorted((s.execution_date, s.split_to / s.split_from) for s in splits) == [
        (str(row[0]), row[3]) for row in found if row[2] == "split"
    ]
    assert [(d.ex_dividend_date, d.cash_amount) for d in dividends] == [("2021-11-05", 0.22)]


@pytest.mark.parametrize(
    ("source", "body"),
    [
        (AlpacaActions, {"corporate_actions": {"forward_splits": [{"symbol": "A", "new_rate": 0}]}}),
        (AlpacaActions, {"actions": []}),
        (MassiveActions, {"results": [{"ticker": "A", "execution_date": "soon", "split_from": 1, "split_to": 2}]}),
        (
            MassiveActions,
            {"results": [{"ticker": "A", "execution_date": "2020-01-02", "split_from": 0, "split_to": 2}]},
        ),
    ],
)
async def test_what_cannot_be_is_an_error_and_no_action(source, body):
    async with http_server(lambda _target, _headers: Answer(HTTPStatus.OK, body)) as base, rest(base, {}) as line:
        with pytest.raises(RestError, match="corporate actions cannot be read"):
            await rows(source(line), "A")


@pytest.mark.parametrize("source", [AlpacaActions, MassiveActions])
async def test_a_wrong_key_is_refused_and_not_shown(source):
    async with corporate_actions() as server, rest(server.base, {"authorization": "Bearer hush"}) as line:
        with pytest.raises(RestError, match="401") as refused:
            await rows(source(line), "A")
    assert "hush" not in str(refused.value)


async def test_the_vendor_of_a_feed_is_asked(tmp_path):
    async with corporate_actions() as server:
        (tmp_path / "rotation.yaml").write_text(
            f"feeds: {{m: {{type: massive, key: {KEY}}}}}\n"
            f"history: [{{type: massive, from: 2020-01-01, feed: m, url: '{server.base}', per_minute: 60000}}]\n"
        )
        settings = load_settings(tmp_path / "rotation.yaml", {}).settings
        found = await vendor_actions(settings, "m", ["AAPL"], FIRST, LAST)
    assert [(a.date.year, a.symbol, a.kind, a.ratio, a.amount) for a in found] == [
        (2005, "AAPL", "split", 2.0, 0.0),
        (2020, "AAPL", "split", 4.0, 0.0),
        (2021, "AAPL", "dividend", 1.0, 0.22),
    ]
