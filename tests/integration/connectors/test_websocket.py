import asyncio
import socket

import pytest
from websockets.asyncio.server import serve

from connectors.feed import Address
from connectors.websocket import Disconnected, WebSocketOptions, open_websocket
from tests.integration.connectors.vendor import until


def address(server):
    return Address(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", {"Content-Type": "application/msgpack"})


async def everything(line):
    messages = []
    while True:
        try:
            messages += await line.receive()
        except Disconnected as end:
            return messages, str(end)


async def test_text_binary_and_fragments_arrive_whole_and_in_order():
    async def script(connection):
        await connection.send("text é")
        await connection.send(b"\x00binary")
        await connection.send(["a ", "message ", "in parts"])
        await connection.send("")
        await connection.send("last")

    async with serve(script, "127.0.0.1", 0) as server:
        line = await open_websocket(address(server))
        messages, reason = await everything(line)
        assert messages == ["text é".encode(), b"\x00binary", b"a message in parts", b"", b"last"]
        assert "1000" in reason
        await line.close()
        with pytest.raises(Disconnected):
            await line.send("too late")


async def test_headers_are_sent_and_frames_go_out_in_their_kind():
    heard = []

    async def script(connection):
        heard.append(connection.request.headers["Content-Type"])
        heard.extend([await connection.recv(), await connection.recv()])

    async with serve(script, "127.0.0.1", 0) as server:
        line = await open_websocket(address(server))
        await line.send("text")
        await line.send(b"binary")
        await until(lambda: len(heard) == 3)
        assert heard == ["application/msgpack", "text", b"binary"]
        await line.close()


@pytest.mark.parametrize("compression", [False, True])
async def test_compression_is_a_choice(compression):
    async def script(connection):
        await connection.send("x" * 10_000 if connection.protocol.extensions else "plain")

    async with serve(script, "127.0.0.1", 0) as server:
        line = await open_websocket(address(server), WebSocketOptions(compression=compression))
        messages, _ = await everything(line)
        assert messages == [b"x" * 10_000 if compression else b"plain"]
        await line.close()


async def test_reading_stops_while_nobody_takes():
    sent = 0

    async def script(connection):
        nonlocal sent
        while True:
            await connection.send(b"x" * 100_000)
            sent += 1

    options = WebSocketOptions(waiting=10**6, chunk=10**6)
    async with serve(script, "127.0.0.1", 0, compression=None, write_limit=10**5) as server:
        line = await open_websocket(address(server), options)
        before = -1
        while before != sent:  # until the buffers of both ends and of the kernel are full
            before = sent
            await asyncio.sleep(0.2)
        stalled = sent
        taken = 0
        while taken <= stalled + 100:
            taken += len(await line.receive())
        assert sent > stalled
        await line.close()


async def test_a_chunk_bounds_what_is_taken_at_once():
    async def script(connection):
        for _ in range(100):
            await connection.send(b"x" * 1_000)
        await connection.wait_closed()

    async with serve(script, "127.0.0.1", 0) as server:
        line = await open_websocket(address(server), WebSocketOptions(chunk=10_000))
        sizes = []
        while sum(sizes) < 100:
            sizes.append(len(await line.receive()))
        assert max(sizes) <= 10
        assert not line.more
        await line.close()


async def test_a_message_too_long_ends_the_line():
    async def script(connection):
        await connection.send(b"fine")
        await connection.send(b"x" * 2_000)
        await connection.wait_closed()

    async with serve(script, "127.0.0.1", 0) as server:
        line = await open_websocket(address(server), WebSocketOptions(longest_message=1_000))
        messages, reason = await everything(line)
        assert messages == [b"fine"]
        assert "1009" in reason
        await line.close()


async def test_cancelling_a_receive_loses_nothing():
    go = asyncio.Event()

    async def script(connection):
        await go.wait()
        await connection.send("kept")
        await connection.wait_closed()

    async with serve(script, "127.0.0.1", 0) as server:
        line = await open_websocket(address(server))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await line.receive()
        go.set()
        assert await line.receive() == [b"kept"]
        await line.close()


async def test_a_vendor_that_answers_no_ping_is_gone():
    async def deaf(reader, writer):
        request = await reader.readuntil(b"\r\n\r\n")
        key = next(ln.split(b": ")[1] for ln in request.split(b"\r\n") if ln.lower().startswith(b"sec-websocket-key"))
        from websockets.utils import accept_key

        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(key.decode()).encode() + b"\r\n\r\n"
        )
        await reader.read()
        writer.close()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    async with server:
        options = WebSocketOptions(ping_interval=0.05, ping_timeout=0.05, close_timeout=0.1)
        line = await open_websocket(address(server), options)
        async with asyncio.timeout(10):
            _, reason = await everything(line)
        assert "ping" in reason
        await line.close()


async def test_no_answer_within_the_deadline():
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"ws://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(Disconnected, match=r"no connection within 0\.1 s"):
            await open_websocket(Address(url), WebSocketOptions(open_timeout=0.1))


@pytest.mark.parametrize(
    "url", ["ws://127.0.0.1:1/", "ws://host.invalid/", "not a url", "ws://127.0.0.1:99999/", "ws://x..y/"]
)
async def test_an_address_that_leads_nowhere_says_so(url):
    with pytest.raises(Disconnected, match=url.rstrip("/")) as failure:
        await open_websocket(Address(url))
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("rest", ["127.0.0.1:1/hidden/v2?token=hidden", "127.0.0.1:99999/v2", "127.0.0.1:1/v2#hidden"])
async def test_the_reason_names_no_secret_of_the_address(rest):
    with pytest.raises(Disconnected, match=r"^ws://127\.0\.0\.1:\d+: ") as failure:
        await open_websocket(Address(f"ws://user:hidden@{rest}"))
    assert "hidden" not in str(failure.value)


async def test_a_server_that_is_no_websocket_says_so():
    async def web(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(web, "127.0.0.1", 0)
    async with server:
        with pytest.raises(Disconnected, match="403"):
            await open_websocket(address(server))
