"""However the line to a broker ends, the feed comes back, and of quality 1 nothing is lost."""

from __future__ import annotations

import pytest

from connectors.mqtt import MqttOptions, opener
from tests.integration.connectors.test_mqtt import TRADES, Client, live, publisher, running, trade
from tests.integration.connectors.vendor import until
from tests.servers.mosquitto import PASSWORD, USER, broker, needs_mosquitto
from tests.servers.relay import ENDS, Relay, answers

pytestmark = [pytest.mark.services, needs_mosquitto, pytest.mark.timeout(60)]


async def ends_in_mid_message(relay: Relay) -> None:
    await relay.says(b"\x32\x20\x00\x0amd/v1/lab")
    relay.close()


def disconnect(reason: int) -> bytes:
    """MQTT 5, 3.14: the server ends the line and says why."""
    return bytes((0xE0, 2, reason, 0))


KINDS = ENDS | {
    "ended in mid-message": ends_in_mid_message,
    "shutting down": answers(disconnect(0x8B)),
    "busy": answers(disconnect(0x89)),
    "taken over by another": answers(disconnect(0x8E)),
    "quota exceeded": answers(disconnect(0x97)),
    "a length that never ends": answers(b"\x30\xff\xff\xff\xff\x7f"),
    "a packet of no type": answers(b"\x00\x00"),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_comes_back(kind, tmp_path):
    async with broker(tmp_path, password=True) as server:
        relay = Relay(server.port)
        async with relay.serving() as between:
            options = {"client_id": "rotation-test", "username": USER, "password": PASSWORD, "session": 3600}
            client = Client(server, qos=1)
            client.feed._url = f"mqtt://127.0.0.1:{between}"
            client.supervisor._connect = opener(MqttOptions(**options, keepalive=1, open_timeout=2))
            async with running(client):
                await live(client)
                with publisher(server) as out:
                    out.publish(TRADES, trade(1), qos=1)
                    await until(lambda: client.ids)
                    await KINDS[kind](relay)
                    for number in (2, 3):
                        out.publish(TRADES, trade(number), qos=1)
                    await until(lambda: {1, 2, 3} <= set(client.ids) and client.health.connections > 1, 20)
    assert client.health.reconnects > 0
    assert client.health.last_error
    assert PASSWORD not in client.health.last_error
    assert client.health.rejected == {}
