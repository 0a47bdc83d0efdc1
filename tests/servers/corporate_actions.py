"""Corporate actions of Alpaca and of Massive over REST on loopback, in pages of one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.servers import alpaca_bars, massive
from tests.servers.http import Answer, http_server

Row = dict[str, Any]

# The fields of the answers in https://docs.alpaca.markets/reference/corporateactions-1
_DATES = {"process_date": "2024-06-10", "record_date": "2024-06-06", "payable_date": "2024-06-07"}
ALPACA: list[tuple[str, Row]] = [
    (
        "forward_splits",
        {
            "id": "be3c368a-4c7c-4384-808e-f02c9f5a8a01",
            "symbol": "NVDA",
            "cusip": "67066G104",
            "new_rate": 10,
            "old_rate": 1,
            "ex_date": "2024-06-10",
        },
    ),
    (
        "cash_dividends",
        {
            "id": "be3c368a-4c7c-4384-808e-f02c9f5a8a02",
            "symbol": "NVDA",
            "cusip": "67066G104",
            "rate": 0.01,
            "special": False,
            "foreign": False,
            "ex_date": "2024-06-11",
        },
    ),
    (
        "reverse_splits",
        {
            "id": "be3c368a-4c7c-4384-808e-f02c9f5a8a03",
            "symbol": "SOXS",
            "old_cusip": "25461A189",
            "new_cusip": "25461A288",
            "new_rate": 1,
            "old_rate": 20,
            "ex_date": "2026-02-05",
        },
    ),
    (
        "name_changes",
        {
            "id": "be3c368a-4c7c-4384-808e-f02c9f5a8a04",
            "old_symbol": "FB",
            "old_cusip": "30303M102",
            "new_symbol": "META",
            "new_cusip": "30303M102",
        },
    ),
    (
        "name_changes",
        {
            "id": "be3c368a-4c7c-4384-808e-f02c9f5a8a05",
            "old_symbol": "NVDA",
            "old_cusip": "67066G104",
            "new_symbol": "NVDA",
            "new_cusip": "67066G105",
        },
    ),
]

# The samples of https://massive.com/docs/rest/stocks/corporate-actions/splits and .../dividends
SPLITS: list[Row] = [
    {"id": "E1", "execution_date": "2020-08-31", "split_from": 1, "split_to": 4, "ticker": "AAPL"},
    {"id": "E2", "execution_date": "2005-02-28", "split_from": 1, "split_to": 2, "ticker": "AAPL"},
]
DIVIDENDS: list[Row] = [
    {
        "id": "D1",
        "cash_amount": 0.22,
        "currency": "USD",
        "declaration_date": "2021-10-28",
        "dividend_type": "CD",
        "ex_dividend_date": "2021-11-05",
        "frequency": 4,
        "pay_date": "2021-11-11",
        "record_date": "2021-11-08",
        "ticker": "AAPL",
    }
]


@dataclass
class Actions:
    """Both vendors at one address."""

    asked: list[str] = field(default_factory=list)
    base: str = ""

    def answer(self, target: str, headers: Mapping[str, str]) -> Answer:
        self.asked.append(target)
        parts = urlsplit(target)
        parameters = dict(parse_qsl(parts.query))
        if parts.path == "/v1/corporate-actions":
            return _alpaca(parameters, headers)
        return _massive(parts.path, parameters, headers)


def _alpaca(parameters: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
    login = alpaca_bars.KEY, alpaca_bars.SECRET
    if (headers.get("apca-api-key-id"), headers.get("apca-api-secret-key")) != login:
        return Answer(HTTPStatus.UNAUTHORIZED, {"message": "unauthorized."})
    wanted, types = parameters["symbols"].split(","), parameters["types"].split(",")
    rows = [
        (kind, row | _DATES)
        for kind, row in ALPACA
        if kind.removesuffix("s") in types and {row.get("symbol"), row.get("new_symbol")} & {*wanted}
    ]
    start = int(parameters.get("page_token", "0"))
    found: dict[str, list[Row]] = {}
    for kind, row in rows[start : start + 1]:
        found.setdefault(kind, []).append(row)
    following = str(start + 1) if start + 1 < len(rows) else None
    return Answer(HTTPStatus.OK, {"corporate_actions": found, "next_page_token": following})


def _massive(path: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
    if headers.get("authorization") != f"Bearer {massive.KEY}":
        return Answer(HTTPStatus.UNAUTHORIZED, {"status": "ERROR", "error": "Unknown API Key"})
    rows = SPLITS if path.endswith("/splits") else DIVIDENDS
    start = int(parameters.get("cursor", "0"))
    body: Row = {"status": "OK", "request_id": "r", "results": rows[start : start + 1]}
    if start + 1 < len(rows):
        # As the vendor's, the address of the next page names the vendor's host.
        body["next_url"] = f"https://api.massive.com{path}?cursor={start + 1}"
    return Answer(HTTPStatus.OK, body)


@asynccontextmanager
async def corporate_actions() -> AsyncIterator[Actions]:
    """The server for one test."""
    actions = Actions()
    async with http_server(actions.answer) as base:
        actions.base = base
        yield actions
