"""Data sent in over HTTP: refused whole with the row, counted once by key, answered when it is kept."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from connectors.backlog import Backlog
from monitor.positions import Positions, places
from monitor.settings import WebSettings
from monitor.store.base import Commit, JournalEntry, JournalId
from monitor.store.memory import MemoryServer, MemoryStore
from monitor.web import ingest as module
from monitor.web.access import Access, Guard
from monitor.web.audit import Audit
from monitor.web.ingest import ingest

QUOTE = {"ts": "2026-01-23T15:00:00Z", "symbol": "SPY", "bid": 600.0, "ask": 600.1}


class World:
    def __init__(self, client, backlog, positions, store):
        self.client, self.backlog, self.positions, self.store = client, backlog, positions, store
        self.batches = []

    async def send(self, body, **headers):
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return await self.client.post("/api/v1/ingest", content=content, headers=headers)

    async def keep_all(self):
        """As the daemon does: take, make durable, tell."""
        while True:
            for batch in await self.backlog.take(1_000_000):
                self.batches.append(batch)
                at = JournalId(len(self.batches), 0)
                await self.store.commit([Commit(JournalEntry(at, {"n": b""}), positions=places(batch.receipts))])
                for receipt in batch.receipts:
                    receipt()


@asynccontextmanager
async def world(server=None, *, kept=True):
    store = MemoryStore(server or MemoryServer())
    await store.open()
    await store.acquire("test")
    positions, backlog, app = Positions(), Backlog(2**26), FastAPI()
    await positions.open(store)
    app.add_middleware(Access, guard=Guard(WebSettings(), Audit(store)), routes=app.router.routes)
    app.include_router(ingest(backlog, positions))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        made = World(client, backlog, positions, store)
        taking = asyncio.create_task(made.keep_all() if kept else asyncio.sleep(0))
        try:
            yield made
        finally:
            taking.cancel()
            await positions.keep()


async def test_all_kinds_come_at_once():
    bar = {"ts": 1_769_180_400_000_000_000, "end": 1_769_180_460_000_000_000, "symbol": "IWM"}
    bar |= {"open": 1, "high": 2, "low": 1, "close": 2}
    body = {
        "quotes": [QUOTE],
        "trades": [{"ts": QUOTE["ts"], "symbol": "SPY", "price": 600.05, "size": 3, "id": 7}],
        "bars": [bar],
        "series": [{"ts": QUOTE["ts"], "series": "us10y", "value": -0.2}],
    }
    async with world() as made:
        for content, kind in ((body, "application/json"), (msgspec.msgpack.encode(body), "application/msgpack")):
            answer = await made.send(content, **{"content-type": kind})
            assert answer.status_code == 200, answer.text
            assert answer.json()["accepted"] == {"quotes": 1, "trades": 1, "bars": 1, "series": 1}
        first, second = made.batches
        assert first.quotes.equals(second.quotes)
        assert first.trades.equals(second.trades)
        assert first.quotes["ts"].to_physical().to_list() == [1_769_180_400_000_000_000]


async def test_a_key_counts_once_also_after_a_restart():
    server = MemoryServer()
    async with world(server) as made:
        answers = await asyncio.gather(*(made.send({"quotes": [QUOTE]}, **{"idempotency-key": "k"}) for _ in range(5)))
        assert sorted(a.json()["repeated"] for a in answers) == [False, True, True, True, True]
        assert len(made.batches) == 1
    async with world(server) as made:
        again = await made.send({"quotes": [QUOTE]}, **{"idempotency-key": "k"})
        assert again.json() == {"accepted": {"quotes": 1}, "repeated": True, "durable": True}
        other = await made.send({"quotes": [QUOTE, QUOTE]}, **{"idempotency-key": "k"})
        assert other.status_code == 409
        assert made.batches == []


async def test_a_crash_right_after_the_journal_has_it_makes_nothing_come_twice():
    """The end comes between the commit and the receipts: what the store has tells the next process."""
    server, entry = MemoryServer(), JournalEntry(JournalId(1, 0), {"quotes": b""})
    async with world(server, kept=False) as made:
        sending = asyncio.create_task(made.send({"quotes": [QUOTE]}, **{"idempotency-key": "k"}))
        (batch,) = await made.backlog.take(1_000_000)
        await made.store.commit([Commit(entry, positions=places(batch.receipts))])
        sending.cancel()
    async with world(server) as made:
        again = await made.send({"quotes": [QUOTE]}, **{"idempotency-key": "k"})
        assert again.json() == {"accepted": {"quotes": 1}, "repeated": True, "durable": True}
        assert made.batches == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"quotes": [QUOTE, QUOTE | {"bid": "x"}]}, "quotes, row 2: bid: expected float, got str"),
        ({"quotes": [QUOTE | {"ask": -1}]}, "quotes, row 1: ask: expected float >= 0.0"),
        ({"quotes": [QUOTE | {"ts": "yesterday"}]}, "quotes, row 1: ts 'yesterday' is no RFC 3339 time with a zone"),
        ({"quotes": [{"ts": 1, "symbol": "A", "bid": 1}]}, "quotes, row 1: object missing required field ask"),
        ({"quotes": [QUOTE | {"pirce": 1}]}, "quotes, row 1: object contains unknown field pirce"),
        ({"prices": []}, "the body is not what it should be (JSON): Object contains unknown field `prices`"),
        (b"", "there is no body"),
        (b"{", "the body is not what it should be (JSON): Input data was truncated"),
    ],
)
async def test_a_wrong_row_is_named_and_nothing_is_taken(body, said):
    async with world() as made:
        answer = await made.send(body)
        assert (answer.status_code, answer.json()["detail"]) == (422, said)
        assert made.batches == []


async def test_too_much_at_once_is_refused(monkeypatch):
    monkeypatch.setattr(module, "ROWS", 2)
    async with world() as made:
        answer = await made.send({"quotes": [QUOTE] * 3})
        assert answer.status_code == 422
        assert "more than 2 rows" in answer.json()["detail"]
        assert (await made.send(b" " * (module.BODY + 1))).status_code == 413


async def test_keys_are_forgotten_in_time(monkeypatch):
    monkeypatch.setattr(module, "KEYS", 2)
    async with world() as made:
        for n in range(5):
            await made.send({"quotes": [QUOTE]}, **{"idempotency-key": f"k{n}"})
        await made.send({"quotes": [QUOTE]}, **{"idempotency-key": "k4"})
        assert sorted(made.positions.below("ingest-key/")) == ["k3", "k4"]


async def test_what_the_journal_does_not_have_yet_is_202(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    async with world(kept=False) as made:
        answer = await made.send({"quotes": [QUOTE]})
        assert answer.status_code == 202
        assert answer.json()["durable"] is False
