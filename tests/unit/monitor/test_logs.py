from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog

from monitor.logs import LogFormat, Secrets, configure


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def written(log_format: LogFormat, *, level: int = logging.INFO, secrets: Secrets | None = None) -> io.StringIO:
    stream = io.StringIO()
    configure(log_format, level, stream, secrets or Secrets())
    return stream


def records(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_one_line_of_json():
    stream = written(LogFormat.JSON)
    structlog.get_logger("monitor.feed").warning("feed is silent", feed="iex", seconds=31, at=None, pair=("a", 1))
    [record] = records(stream)
    assert list(record)[:3] == ["ts", "level", "event"]
    assert record.items() >= {"level": "warning", "event": "feed is silent", "feed": "iex", "seconds": 31}.items()
    assert (record["logger"], record["pair"], record["at"]) == ("monitor.feed", ["a", 1], None)
    assert str(record["ts"]).endswith("Z")


def test_a_record_is_one_line_of_words_for_people():
    stream = written(LogFormat.TEXT)
    structlog.get_logger("x").info("feed is live", feed="iex", reason='said "hello"', n=3, empty="", none=None)
    [line] = stream.getvalue().splitlines()
    assert (
        line.split(maxsplit=1)[1] == r'info     feed is live  feed=iex reason="said \"hello\"" n=3 empty="" none=null'
    )


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_an_exception_stays_on_its_line(log_format):
    stream = written(log_format)
    try:
        int("two\nlines")
    except ValueError:
        structlog.get_logger().exception("it broke", key="a\nb")
    [line] = stream.getvalue().splitlines()
    assert "ValueError: invalid literal" in line
    assert "Traceback" in line


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_a_message_cannot_forge_a_record(log_format):
    stream = written(log_format)
    structlog.get_logger().info("a\n2026-01-01T00:00:00Z info forged\x1b[31m")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


def test_libraries_take_the_same_way():
    stream = written(LogFormat.JSON)
    logging.getLogger("uvicorn.error").warning("Started on %s", "port 8600", extra={"port": 8600})
    logging.getLogger("websockets.client").info("noise")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old way", UserWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    started, warned = records(stream)
    assert (
        started.items()
        >= {"event": "Started on port 8600", "level": "warning", "logger": "uvicorn.error", "port": 8600}.items()
    )
    assert "old way" in str(warned["event"])


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_a_secret_appears_nowhere_in_a_record(log_format):
    secrets = Secrets()
    secrets.add("hunter2hunter2")
    secrets.add("hunter2")
    stream = written(log_format, secrets=secrets)
    log = structlog.get_logger()
    log.warning(
        "key hunter2 refused", url="wss://me:hunter2@host/x", nested={"hunter2": ["hunter2hunter2", ("hunter2",)]}
    )
    logging.getLogger("lib").error("login with %s", "hunter2", extra={"token": "hunter2"})
    try:
        int("hunter2hunter2")
    except ValueError:
        log.exception("failed", error=RuntimeError("hunter2"))
    assert "hunter2" not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 3


def test_user_information_of_urls_is_masked_without_registration():
    secrets = Secrets()
    assert (
        secrets.masked("to redis://user:pw@host:1/0 and mailtos://a:b@c")
        == "to redis://***@host:1/0 and mailtos://***@c"
    )
    assert secrets.masked("ws://host/path@x a@b.com") == "ws://host/path@x a@b.com"


def test_what_is_too_short_to_hide_is_not_searched_for():
    secrets = Secrets()
    for value in ("", "a", "123"):
        secrets.add(value)
    assert secrets.masked("banana 123") == "banana 123"


def test_the_level_is_kept():
    stream = written(LogFormat.JSON, level=logging.WARNING)
    structlog.get_logger().info("quiet")
    logging.getLogger("lib").info("quiet")
    structlog.get_logger().warning("loud")
    assert [r["event"] for r in records(stream)] == ["loud"]


def test_configuring_again_replaces_the_first():
    first = written(LogFormat.JSON)
    second = written(LogFormat.TEXT)
    structlog.get_logger("again").info("once", run=2)
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_context_is_in_every_record():
    stream = written(LogFormat.JSON)
    with structlog.contextvars.bound_contextvars(feed="iex"):
        structlog.get_logger().info("a")
    structlog.get_logger().info("b")
    assert [r.get("feed") for r in records(stream)] == ["iex", None]


def test_a_secret_is_masked_as_it_stands_in_addresses_and_json():
    secrets = Secrets()
    secrets.add('a b/c"d&ü')
    for text in (
        "?token=a%20b/c%22d%26%C3%BC!",
        "a%20b%2Fc%22d%26%C3%BC",
        "a+b%2Fc%22d%26%C3%BC",
        '{"k":"a b/c\\"d&\\u00fc"}',
    ):
        shown = secrets.masked(text)
        assert "***" in shown, text
        assert "b" not in shown, text


def test_a_secret_that_was_cut_off_is_masked_as_well():
    secrets = Secrets()
    secrets.add("geheimnis-42")
    assert secrets.masked("no: Authorization: geheimni") == "no: Authorization: ***"
    assert secrets.masked("no: gehei") == "no: gehei"


def test_the_scheme_of_a_secret_address_is_no_secret():
    secrets = Secrets()
    secrets.add("console://")
    secrets.add("slack://geheimnis/42")
    assert secrets.masked("fired:1:console") == "fired:1:console"
    assert secrets.masked("cannot reach slack:/") == "cannot reach slack:/"
    assert secrets.masked("cannot reach slack://gehei") == "cannot reach ***"
