"""The exchange over a real socket: signing in, subscribing, every refusal, pacing, and clients that do not keep up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from connectors.simulator import Exchange, ExchangeOptions, Scenario, great_rotation
from tests.unit.connectors.simulator_sessions import SESSIONS

Message = dict[str, Any]

AUTH = {"action": "auth", "key": "key", "secret": "secret"}
EVERYTHING = {"action": "subscribe", "trades": ["*"], "quotes": ["*"], "bars": ["*"]}
IWM = {"action": "subscribe", "trades": ["IWM"]}
STEPS = 130
FAST = ExchangeOptions(speed=0, steps=STEPS)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return great_rotation(SESSIONS)


@asynccontextmanager
async def playing(scenario: Scenario, options: ExchangeOptions = FAST) -> AsyncIterator[tuple[Exchange, str]]:
    exchange = Exchange(scenario, options)
    try:
        yield exchange, await exchange.start()
    finally:
        await exchange.close()


@asynccontextmanager
async def client(url: str, *, signed_in: bool = True) -> AsyncIterator[ClientConnection]:
    async with connect(url, compression=None, close_timeout=1) as socket:
        assert await read(socket) == [{"T": "success", "msg": "connected"}]
        if signed_in:
            assert await ask(socket, AUTH) == [{"T": "success", "msg": "authenticated"}]
        yield socket


async def read(socket: ClientConnection) -> list[Message]:
    messages: list[Message] = json.loads(await asyncio.wait_for(socket.recv(), 10))
    return messages


async def until_closed(socket: ClientConnection) -> list[list[Message]]:
    """Every frame until the server ends the connection."""
    seen = []
    try:
        while True:
            seen.append(await read(socket))
    except ConnectionClosed:
        return seen


async def ask(socket: ClientConnection, request: object) -> list[Message]:
    await socket.send(request if isinstance(request, str | bytes) else json.dumps(request))
    return await read(socket)


def error(code: int, text: str) -> list[Message]:
    return [{"T": "error", "code": code, "msg": text}]


async def until(socket: ClientConnection, enough: Callable[[list[Message]], bool]) -> list[Message]:
    """Every message up to and including the frame that makes it enough."""
    seen: list[Message] = []
    while not enough(seen):
        seen.extend(await read(socket))
    return seen


async def test_the_stream_is_the_tape_from_its_start(scenario):
    async with playing(scenario) as (_, url), client(url) as socket:
        confirmed = await ask(socket, EVERYTHING)
        assert confirmed[0]["T"] == "subscription"
        assert confirmed[0]["trades"] == confirmed[0]["quotes"] == confirmed[0]["bars"] == ["*"]
        seen = await until(socket, lambda seen: len(seen) > 2 * 29 * STEPS * 3)
    trades = [m for m in seen if m["T"] == "t"]
    assert [m["i"] for m in trades[: 29 * (STEPS + 1)]] == list(range(1, 29 * (STEPS + 1) + 1))
    times = [m["t"] for m in seen if m["T"] != "b"]
    assert times == sorted(times)
    last = {m["S"]: m["p"] for m in trades if m["t"] < "2026-01-02T21"}
    expected = scenario.outcome().head(29)
    assert last == dict(zip(expected["symbol"], expected["close"], strict=True))


async def test_nothing_is_sent_before_somebody_subscribes(scenario):
    async with playing(scenario) as (exchange, url), client(url):
        await asyncio.sleep(0)
        assert exchange.sent == 0


async def test_mistakes_get_the_vendors_codes_and_keep_the_connection(scenario):
    async with playing(scenario) as (_, url), client(url, signed_in=False) as socket:
        for nonsense in ("hello", "[1, 2", "[]", "17", b"\xff\xfe", '{"action": "\ud7ff"'):
            assert await ask(socket, nonsense) == error(400, "invalid syntax")
        assert await ask(socket, EVERYTHING) == error(401, "not authenticated")
        assert await ask(socket, AUTH | {"secret": "wrong"}) == error(402, "auth failed")
        assert await ask(socket, {"action": "auth"}) == error(402, "auth failed")
        assert await ask(socket, AUTH) == [{"T": "success", "msg": "authenticated"}]
        assert await ask(socket, AUTH) == error(403, "already authenticated")
        for wrong in (
            {"action": "dance"},
            {},
            {"action": "subscribe", "trades": "IWM"},
            {"action": "subscribe", "bars": [1]},
        ):
            assert await ask(socket, wrong) == error(400, "invalid syntax")
        for unknown in ("dailyBars", "news"):
            request = {"action": "subscribe", unknown: ["IWM"]}
            assert await ask(socket, request) == error(410, "invalid subscribe action for this feed")
        assert (await ask(socket, IWM))[0]["trades"] == ["IWM"]


async def test_who_does_not_sign_in_in_time_is_told_and_disconnected(scenario):
    options = ExchangeOptions(speed=0, auth_timeout=0.1)
    async with playing(scenario, options) as (_, url), client(url, signed_in=False) as socket:
        assert await read(socket) == error(404, "auth timeout")
        with pytest.raises(ConnectionClosed):
            await read(socket)


async def test_wrong_credentials_do_not_extend_the_time_to_sign_in(scenario):
    options = ExchangeOptions(speed=0, auth_timeout=0.3)
    async with playing(scenario, options) as (_, url), client(url, signed_in=False) as socket:
        trying = asyncio.create_task(until_closed(socket))
        while not trying.done():
            with suppress(ConnectionClosed):
                await socket.send(json.dumps(AUTH | {"key": "wrong"}))
            await asyncio.sleep(0.01)
        answers = await trying
        assert answers[0] == error(402, "auth failed")
        assert answers[-1] == error(404, "auth timeout")


async def test_more_symbols_than_allowed_change_nothing(scenario):
    async with playing(scenario, ExchangeOptions(speed=0, max_symbols=2)) as (_, url), client(url) as socket:
        three = {"action": "subscribe", "trades": ["IWM", "SPY"], "quotes": ["QQQ"]}
        assert await ask(socket, three) == error(405, "symbol limit exceeded")
        assert (await ask(socket, IWM))[0]["trades"] == ["IWM"]


async def test_one_connection_too_many_is_refused_until_another_leaves(scenario):
    async with playing(scenario, ExchangeOptions(speed=0, max_clients=1)) as (_, url):
        async with client(url), client(url, signed_in=False) as second:
            assert await ask(second, AUTH) == error(406, "connection limit exceeded")
            with pytest.raises(ConnectionClosed):
                await read(second)
        async with asyncio.timeout(10):
            while True:
                async with client(url, signed_in=False) as third:
                    if (await ask(third, AUTH))[0]["T"] == "success":
                        break


async def test_unsubscribing_takes_effect_and_the_confirmation_stands_before_it(scenario):
    async with playing(scenario, ExchangeOptions(speed=3e4, steps=STEPS)) as (_, url), client(url) as socket:
        await ask(socket, {"action": "subscribe", "trades": ["IWM", "SPY"]})
        await until(socket, lambda seen: len(seen) > 50)
        await socket.send(json.dumps({"action": "unsubscribe", "trades": ["SPY"]}))
        await until(socket, lambda seen: any(m["T"] == "subscription" and m["trades"] == ["IWM"] for m in seen))
        after = await until(socket, lambda seen: len(seen) > 50)
        assert {m["S"] for m in after} == {"IWM"}


async def test_a_late_client_joins_where_the_tape_is(scenario):
    async with playing(scenario, ExchangeOptions(speed=3e4, steps=STEPS)) as (_, url), client(url) as first:
        await ask(first, IWM)
        seen = await until(first, lambda seen: len(seen) > 100)
        async with client(url) as second:
            await ask(second, IWM)
            joined = (await until(second, lambda seen: len(seen) > 0))[0]
            assert joined["t"] > seen[-1]["t"]
            more = await until(first, lambda seen: any(m["t"] >= joined["t"] for m in seen))
            assert joined in more


async def test_a_session_takes_its_time_and_nights_do_not(scenario):
    options = ExchangeOptions(speed=46_800, pause=0.05, steps=STEPS)
    async with playing(scenario, options) as (_, url), client(url) as socket:
        began = asyncio.get_running_loop().time()
        await ask(socket, IWM)
        await until(socket, lambda seen: any(m["t"] > "2026-01-06" for m in seen))
        # Two sessions of half a second each, and two pauses; the upper bound leaves room for a busy machine.
        assert 1.0 < asyncio.get_running_loop().time() - began < 30.0


async def test_the_tape_slows_down_after_the_story(scenario):
    told = scenario.played[scenario.story].date.isoformat()
    options = ExchangeOptions(speed=1e7, quiet_speed=10.0, pause=0.0, steps=STEPS)
    async with playing(scenario, options) as (_, url), client(url) as socket:
        await ask(socket, IWM)
        seen = await until(socket, lambda seen: any(m["t"] > told for m in seen))
        assert len([m for m in seen if m["t"] > told]) == 1


async def test_both_encodings_say_the_same(scenario):
    packing = {"Content-Type": "application/msgpack"}
    async with (
        playing(scenario, ExchangeOptions(speed=3e4, steps=STEPS)) as (_, url),
        client(url) as text,
        connect(url, additional_headers=packing, compression=None) as packed,
    ):
        assert msgspec.msgpack.decode(await packed.recv()) == [{"T": "success", "msg": "connected"}]
        await packed.send(msgspec.msgpack.encode(AUTH))
        assert msgspec.msgpack.decode(await packed.recv()) == [{"T": "success", "msg": "authenticated"}]
        await packed.send(msgspec.msgpack.encode(EVERYTHING))
        await ask(text, EVERYTHING)
        binary: dict[int, Message] = {}
        while len(binary) < 500:
            binary |= {m["i"]: m for m in msgspec.msgpack.decode(await packed.recv()) if m["T"] == "t"}
        seen = await until(text, lambda seen: sum(m["T"] == "t" for m in seen) > 300)
    shared = {m["i"]: m for m in seen if m["T"] == "t" and m["i"] in binary}
    assert len(shared) > 100
    for number, message in shared.items():
        other = binary[number]
        assert other.pop("t").isoformat().replace("+00:00", "000Z") == message.pop("t")
        assert other == message


@pytest.mark.parametrize("speed", [0, 1e6])
async def test_a_client_that_does_not_read_is_put_out_and_the_others_go_on(scenario, speed):
    options = ExchangeOptions(speed=speed, pause=0, steps=390, backlog=100_000, patience=0.2)
    async with (
        playing(scenario, options) as (exchange, url),
        client(url) as reader,
        connect(url, compression=None, max_queue=1, close_timeout=1) as sleeper,
    ):
        await ask(sleeper, AUTH)
        await sleeper.send(json.dumps(EVERYTHING))
        await ask(reader, IWM)
        seen: list[Message] = []
        async with asyncio.timeout(60):
            while len(exchange._clients) > 1:
                seen.extend(await read(reader))
            seen += await until(reader, lambda more: len(more) > 500)
        assert [m["i"] for m in seen] == sorted({m["i"] for m in seen})
        await until_closed(sleeper)


async def test_a_slow_client_that_wakes_up_reads_why():
    """The last thing on the line is error 407."""
    options = ExchangeOptions(speed=0, steps=390, backlog=1000, patience=0.0)
    async with playing(great_rotation(SESSIONS), options) as (_, url), client(url) as socket:
        await socket.send(json.dumps(EVERYTHING))
        assert (await until_closed(socket))[-1] == error(407, "slow client")


async def test_after_the_last_session_connections_stay_open(scenario):
    short = great_rotation(SESSIONS[: scenario.past + scenario.story])
    async with playing(short, ExchangeOptions(speed=0, steps=2)) as (exchange, url), client(url) as socket:
        await ask(socket, {"action": "subscribe", "bars": ["IWM"]})
        await asyncio.wait_for(exchange.finished(), 30)
        seen = await until(socket, lambda seen: len(seen) >= 3 * short.story)
        assert seen[-1]["t"].startswith(short.played[-1].date.isoformat())
        await asyncio.wait_for(await socket.ping(), 10)


async def test_closing_in_the_middle_ends_connections_and_tasks(scenario):
    before = asyncio.all_tasks()
    exchange = Exchange(scenario, FAST)
    url = await exchange.start()
    async with client(url) as socket:
        await ask(socket, EVERYTHING)
        await exchange.close()
        await until_closed(socket)
    assert asyncio.all_tasks() == before
    with pytest.raises(OSError, match="Connect call failed"):
        await connect(url)


async def test_cancelling_its_owner_closes_everything(scenario):
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def owner() -> None:
        exchange = Exchange(scenario, FAST)
        try:
            started.set_result(await exchange.start())
            await exchange.finished()
        finally:
            await exchange.close()

    before = asyncio.all_tasks()
    task = asyncio.create_task(owner())
    async with client(await started) as socket:
        await ask(socket, IWM)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await until_closed(socket)
    assert asyncio.all_tasks() == before


async def test_a_fault_in_playing_is_raised_to_its_owner(scenario):
    exchange = Exchange(scenario, ExchangeOptions(speed=0, steps=10**6))
    async with client(await exchange.start()) as socket:
        await ask(socket, IWM)
        with pytest.raises(ValueError, match="cannot be played in 1000000 steps"):
            await asyncio.wait_for(exchange.finished(), 10)
    with pytest.raises(ValueError, match="cannot be played"):
        await exchange.close()


async def test_an_exchange_that_never_started_can_be_closed(scenario):
    exchange = Exchange(scenario)
    with pytest.raises(RuntimeError, match="has not been started"):
        await exchange.finished()
    await exchange.close()
