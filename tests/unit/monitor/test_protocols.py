"""From settings to feeds and lines."""

import itertools
from pathlib import Path

import pytest

from connectors.batch import Batch
from connectors.binance import BinanceFeed
from connectors.coinbase import CoinbaseFeed
from connectors.kraken import KrakenFeed
from connectors.mqtt import MqttFeed
from connectors.websocket import open_websocket
from monitor import settings
from monitor.positions import Positions
from monitor.protocols import protocol, transport
from monitor.settings import load_settings
from rules.diagnostics import render

DEPLOY = Path(__file__).parents[3] / "deploy"


def loaded(tmp_path, text) -> settings.Settings:
    path = tmp_path / "rotation.yaml"
    path.write_text(text, encoding="utf-8")
    result = load_settings(path, {})
    assert result.settings is not None, render(result.diagnostics)
    return result.settings


def refused(tmp_path, text) -> str:
    path = tmp_path / "rotation.yaml"
    path.write_text(text, encoding="utf-8")
    result = load_settings(path, {})
    assert result.settings is None
    return render(result.diagnostics)


@pytest.mark.parametrize(
    ("word", "kind"), [("binance", BinanceFeed), ("coinbase", CoinbaseFeed), ("kraken", KrakenFeed)]
)
def test_an_exchange_by_its_name(tmp_path, word, kind):
    config = loaded(tmp_path, f"feeds: {{x: {{type: {word}, symbols: [BTC/USD], url: wss://h/p}}}}").feeds["x"]
    feed = protocol(config, "x")
    assert isinstance(feed, kind)
    assert feed.address().url == "wss://h/p"
    assert transport(config, feed, Positions()) is open_websocket


def test_a_broker_with_a_mapping(tmp_path):
    text = (
        "feeds:\n  desk:\n    type: mqtt\n    url: mqtts://broker:8883\n    topics: ['md/v1/#', 't/#']\n    qos: 1\n"
        "    username: u\n    password: 5ecret\n    mapping:\n"
        "      - {topic: 't/{symbol}', kind: quotes, time: t, unit: ms, fields: {bid: b.0, ask: a.0}}\n"
    )
    config = loaded(tmp_path, text).feeds["desk"]
    feed = protocol(config, "desk")
    assert isinstance(feed, MqttFeed)
    assert feed.router.route("t/SPY").symbol == "SPY"
    options = transport(config, feed, Positions()).keywords["options"]
    assert (options.username, options.password, options.session) == ("u", "5ecret", 86_400)
    assert options.client_id.endswith("-desk")
    assert "5ecret" not in repr(config)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("url: https://broker", "mqtts://HOST:PORT"),
        ("url: mqtt://u:pa55word@broker", "without a password"),
        ("mapping: [{topic: 'a/#/b', kind: quotes}]", "`#` for the last"),
        ("mapping: [{topic: 'a/{symbol}', kind: quotes, fields: {bod: b}}]", "`bod` is no field of quotes"),
        ("mapping: [{topic: 'a/{symbol}', kind: candles}]", "candles"),
        ("qos: 2", "qos"),
        ("ca: nowhere.pem", "nowhere.pem"),
    ],
)
def test_a_wrong_broker_is_one_line_that_names_it(tmp_path, line, word):
    lines = {"url": "url: mqtt://broker"} | {line.partition(":")[0]: line}
    text = "feeds:\n  desk:\n    type: mqtt\n    topics: ['md/v1/#']\n    " + "\n    ".join(lines.values()) + "\n"
    said = refused(tmp_path, text)
    assert word in said
    assert "pa55word" not in said
    assert sum(": error: " in row for row in said.splitlines()) == 1


@pytest.mark.parametrize("name", ["rotation.mqtt.yaml", "rotation.crypto.yaml"])
def test_the_examples_load(tmp_path, name):
    (tmp_path / "rules" / "library").mkdir(parents=True)
    (tmp_path / "coins.yaml").write_text("version: 1\n", encoding="utf-8")
    (tmp_path / name).write_text((DEPLOY / name).read_text(encoding="utf-8"), encoding="utf-8")
    result = load_settings(tmp_path / name, {"MQTT_PASSWORD": "5ecret"})
    assert result.settings is not None, render(result.diagnostics)
    for feed_name, config in result.settings.feeds.items():
        assert protocol(config, feed_name).name == feed_name


def test_receipts_of_merged_batches_stay_in_order():
    calls: list[int] = []
    numbers = itertools.count()
    batches = [Batch("f", n, receipts=(lambda: calls.append(next(numbers)),)) for n in range(3)]
    assert len(Batch.merge(batches).receipts) == 3
    assert Batch.merge(batches).receipts == tuple(batch.receipts[0] for batch in batches)
