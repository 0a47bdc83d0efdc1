"""Captures say whose frames they are, so that each is replayed through its own parser; and without secrets."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from connectors.alpaca import AlpacaFeed
from connectors.capture import ABOUT, Capture, feed_of, records
from monitor.protocols import about, parser, protocol
from monitor.settings import FeedSettings

FEEDS: dict[str, dict[str, object]] = {
    "alpaca": {"key": "s3cret", "secret": "s3cret", "encoding": "json"},
    "massive": {"key": "s3cret", "channels": ["trades"]},
    "finnhub": {"key": "s3cret"},
    "binance": {"symbols": ["BTC/USDT"]},
    "coinbase": {"symbols": ["BTC/USD"]},
    "kraken": {"symbols": ["BTC/USD"]},
    "mqtt": {"url": "mqtt://broker", "topics": ["md/v1/#"], "username": "s3cret", "password": "s3cret"},
    "redis": {"url": "redis://:s3cret@host", "stream": "ticks", "kind": "quotes", "fields": {"bid": "b"}},
}


@pytest.mark.parametrize("kind", FEEDS)
def test_every_feed_is_known_again(kind, tmp_path):
    config = TypeAdapter(FeedSettings).validate_python({"type": kind, **FEEDS[kind]})
    written = about(config)
    assert b"s3cret" not in written
    capture = Capture(tmp_path, "a-b", about=written)
    capture.opened(1_769_180_850_000_000_000)
    capture.received(1_769_180_850_000_000_000, [b"{}"])
    capture.close()
    (path,) = tmp_path.iterdir()
    assert feed_of(path) == "a-b"
    first, *_ = records(path)
    assert first.kind == ABOUT
    assert type(parser(first.content, b"{}", "again")) is type(protocol(config, "live"))


def test_a_capture_that_does_not_say_is_alpacas():
    assert isinstance(parser(None, b"[{", "f"), AlpacaFeed)


def test_a_feed_of_another_version_is_named():
    with pytest.raises(ValueError, match="frames of a feed of type 'bitstamp'"):
        parser(b'{"type":"bitstamp"}', b"", "f")
