"""What an exchange's frames say, as ccxt's client reads them off a socket and as our parsers do: the same."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import ccxt.pro
import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.contract.connectors.cards import CARDS

# exchange: the trade's and the quote's instrument, as their frames in the cards have them
INSTRUMENTS = {
    "binance": ("BNB/BTC", "BNB/USDT"),
    "coinbase": ("ETH/USD", "BTC/USD"),
    "kraken": ("MATIC/USD", "ALGO/USD"),
}
SEPARATORS = {"binance": "", "coinbase": "-", "kraken": ""}


def market(exchange: str, symbol: str) -> dict[str, Any]:
    """An instrument as ccxt has it from the exchange's list, which it then need not ask for."""
    base, quote = symbol.split("/")
    code = SEPARATORS[exchange].join((base, quote))
    names = {"id": code, "lowercaseId": code.lower(), "wsname": symbol, "symbol": symbol}
    kinds = {"type": "spot", "spot": True, "active": True}
    none = dict.fromkeys(("swap", "future", "option", "margin", "contract"), False)
    sides = {"base": base, "baseId": base, "quote": quote, "quoteId": quote}
    return names | kinds | none | sides | {"precision": {"amount": 1e-8, "price": 1e-8}, "limits": {}, "info": {}}


def pointed_at(urls: dict[str, Any], address: str) -> dict[str, Any]:
    """The tree of addresses with every socket's replaced."""
    return {
        name: pointed_at(url, address)
        if isinstance(url, dict)
        else address
        if isinstance(url, str) and url.startswith("ws")
        else url
        for name, url in urls.items()
    }


def as_asked(frame: str, request: str | bytes) -> str:
    """The frame with what Binance lets a client choose: a request's number, and each stream by itself."""
    frame = re.sub(r'"id":1\b', f'"id":{json.loads(request).get("id", 1)}', frame)
    return json.dumps(json.loads(frame)["data"]) if frame.startswith('{"stream"') else frame


@pytest.mark.parametrize("exchange", INSTRUMENTS)
async def test_ccxt_and_we_read_the_same(exchange):
    frames = CARDS[exchange].session
    traded, quoted = INSTRUMENTS[exchange]

    async def answer(socket: ServerConnection) -> None:
        async for text in socket:
            for frame in frames:
                await socket.send(as_asked(frame, text))

    async with serve(answer, "127.0.0.1", 0) as server:
        client = getattr(ccxt.pro, exchange)()
        client.urls["api"] = pointed_at(client.urls["api"], f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        client.set_markets([market(exchange, symbol) for symbol in (traded, quoted)])
        watch_quote = client.watch_bids_asks([quoted]) if exchange == "binance" else client.watch_ticker(quoted)
        try:
            async with asyncio.timeout(20):
                (trade,) = await client.watch_trades(traded)
                quote = await watch_quote
        finally:
            await client.close()

    received = 1_700_000_000_000_000_000
    batch = CARDS[exchange].make().parse(frames, received)
    (ours,) = batch.trades.to_dicts()
    assert (ours["symbol"], ours["price"], ours["size"]) == (trade["symbol"], trade["price"], trade["amount"])
    assert batch.trades["ts"].dt.timestamp("ms").item() == trade["timestamp"]
    quote = quote.get(quoted, quote)
    (ours,) = batch.quotes.to_dicts()
    sides = ("bid", "ask", "bid_size", "ask_size")
    assert [ours[side] for side in sides] == [quote[side] for side in ("bid", "ask", "bidVolume", "askVolume")]
    assert ours["symbol"] == quote["symbol"]
