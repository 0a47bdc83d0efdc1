from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from monitor.web import events
from monitor.web.events import MOST_LISTENERS, QUEUE, EventStream, TooManyListeners


def transition(number: int) -> bytes:
    return json.dumps({"at": number, "started_at": 0, "evidence": {"prices": {}}}).encode()


def lines(chunk: bytes, name: str) -> list[Any]:
    blocks = chunk.decode().split("\n\n")
    head = f"event: {name}\ndata: "
    return [json.loads(block.removeprefix(head)) for block in blocks if block.startswith(head)]


async def listening(stream: EventStream) -> tuple[AsyncGenerator[bytes, None], asyncio.Task[bytes]]:
    """A listener that waits for its first events."""
    listener = stream.subscribe()
    first = asyncio.ensure_future(anext(listener))
    await asyncio.sleep(0)
    return listener, first


async def test_with_no_listeners_nothing_is_even_looked_at():
    stream = EventStream()
    stream.transitions(pytest.fail("asked for") for _ in range(1))
    asked = []

    async def snapshot() -> bytes:
        asked.append(1)
        return b"{}"

    running = asyncio.create_task(stream.run(snapshot))
    await asyncio.sleep(0)
    listener, first = await listening(stream)
    assert lines(await first, "snapshot") == [{}]
    assert len(asked) == 1
    await listener.aclose()
    assert stream.listening == 0
    running.cancel()


async def test_a_slow_listener_loses_the_oldest_and_is_told_how_many():
    stream = EventStream()
    listener, first = await listening(stream)
    async with aclosing(listener):
        stream.transitions([transition(1)])
        assert len(lines(await first, "transition")) == 1
        stream.transitions(transition(n) for n in range(1, QUEUE + 11))
        chunk = await anext(listener)
        assert lines(chunk, "missed") == [{"transitions": 10}]
        shown = lines(chunk, "transition")
        assert len(shown) == QUEUE
        assert shown[0]["at"] == "1970-01-01T00:00:00.000000011Z"
        stream.transitions([transition(1)])
        assert lines(await anext(listener), "missed") == []


async def test_of_snapshots_only_the_newest_waits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "SNAPSHOT_EVERY", 0.0)
    stream = EventStream()
    taken = 0
    enough = asyncio.Event()

    async def snapshot() -> bytes:
        nonlocal taken
        taken += 1
        if taken == 50:
            enough.set()
        return b"%d" % taken

    listener, first = await listening(stream)
    running = asyncio.create_task(stream.run(snapshot))
    async with aclosing(listener):
        await first
        await enough.wait()
        [number] = lines(await anext(listener), "snapshot")
        assert number >= 49
    running.cancel()


async def test_a_snapshot_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "SNAPSHOT_EVERY", 0.0)
    stream = EventStream()
    tries = 0

    async def snapshot() -> bytes:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ZeroDivisionError
        return b"{}"

    running = asyncio.create_task(stream.run(snapshot))
    listener, first = await listening(stream)
    async with aclosing(listener), asyncio.timeout(5):
        assert lines(await first, "snapshot") == [{}]
    running.cancel()


async def test_silence_is_broken_by_a_comment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "HEARTBEAT_AFTER", 0.01)
    listener, first = await listening(EventStream())
    async with aclosing(listener):
        assert (await first).startswith(b": ")


async def test_listeners_end_with_the_daemon_and_later_ones_get_nothing():
    stream = EventStream()

    async def snapshot() -> bytes:
        return b"{}"

    running = asyncio.create_task(stream.run(snapshot))
    listener, first = await listening(stream)
    await first
    running.cancel()
    await asyncio.wait([running])
    assert [chunk async for chunk in listener] == []
    assert [chunk async for chunk in stream.subscribe()] == []


async def test_there_is_a_bound_on_listeners():
    stream = EventStream()
    everybody = [await listening(stream) for _ in range(MOST_LISTENERS)]
    with pytest.raises(TooManyListeners):
        stream.subscribe()
    for listener, first in everybody:
        first.cancel()
        await asyncio.wait([first])
        await listener.aclose()
    assert stream.listening == 0
