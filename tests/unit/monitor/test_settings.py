from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from monitor.settings import config_schema, is_config, load_settings
from monitor.settings.durations import LONGEST, read_age, read_duration, write_duration
from rules.diagnostics import Level

SECOND = 1_000_000_000
FEED = "feeds: {iex: {type: alpaca, key: '${KEY}', secret: '${file:secret}'}}\n"


@pytest.fixture
def load(tmp_path):
    """Settings of a text, with an environment; the errors' lines where there are any."""

    def load(text="", **env):
        path = tmp_path / "rotation.yaml"
        path.write_text(text, encoding="utf-8")
        loaded = load_settings(path, env)
        return loaded.settings or [d.render().splitlines()[0].replace(f"{tmp_path}/", "") for d in loaded.diagnostics]

    return load


def test_nothing_written_means_the_defaults(load, tmp_path):
    settings = load("# nothing yet\n")
    assert settings.store.embedded
    assert settings.store.data_dir == tmp_path / "rotation-data"
    assert (settings.lateness, settings.stale_after, settings.evaluate_every) == (30 * SECOND, 900 * SECOND, SECOND)
    assert settings.told == ("console",)
    assert settings.web.loopback
    assert (settings.web.host, settings.web.port) == ("127.0.0.1", 8600)


def test_who_asks_the_running_monitor_needs_no_secrets_of_its_feeds(tmp_path):
    path = tmp_path / "rotation.yaml"
    path.write_text(FEED + "web: {listen: '127.0.0.1:8700', token: '${TOKEN}'}\n", encoding="utf-8")
    asked = load_settings(path, {"TOKEN": "t", "ROTATION_LATENESS": "never"}, only="web")
    assert asked.diagnostics == ()
    assert asked.settings.web.address == "http://127.0.0.1:8700"
    assert asked.settings.web.token.get_secret_value() == "t"
    without = load_settings(path, {}, only="web")
    assert without.settings is None
    assert [d.message for d in without.diagnostics] == ["the environment variable `TOKEN` is not set"]


def test_a_wrong_key_of_a_mapping_is_shown_with_the_right_ones(load, tmp_path):
    path = tmp_path / "rotation.yaml"
    mapping = "{topic: 'ticks/{symbol}', kind: quotes, when: t}"
    assert load(f"feeds:\n  desk: {{type: mqtt, url: 'mqtt://h', topics: [t], mapping: [{mapping}]}}\n")
    (found,) = load_settings(path, {}).diagnostics
    assert (found.message, found.hint) == (
        "unknown key `when`",
        "possible here: topic, kind, symbol, time, unit, rows, fields, bar",
    )
    assert "topic: 'ticks/{symbol}', kind: quotes, when: *" in found.source_line


def test_a_key_without_a_value_means_its_default(load):
    assert load("rules:\nlog:\nfeeds:\n").log.level == "info"


def test_the_file_of_the_documentation(load, tmp_path):
    (tmp_path / "rules.d").mkdir()
    settings = load(
        """
        store: {url: embedded}
        calendar: XNYS
        clock: wall
        rules: [rules.d]
        feeds:
          iex: {type: alpaca, feed: iex, key: "${ALPACA_KEY}", secret: "${ALPACA_SECRET}"}
          sim: {type: simulator, scenario: great-rotation}
        receivers:
          desk-slack: {urls: ["slack://${SLACK_TOKENS}"]}
          desk-mail: {urls: ["mailtos://${SMTP_LOGIN}@smtp.example.com?to=desk@example.com"], deadline: 1m}
        route: {receiver: desk-slack}
        web: {listen: "127.0.0.1:8600", token: "${ROTATION_TOKEN}"}
        """,
        ALPACA_KEY="key",
        ALPACA_SECRET="0123",
        SLACK_TOKENS="a/b/c",
        SMTP_LOGIN="user:password",
        ROTATION_TOKEN="12345678",
    )
    assert settings.rules == (tmp_path / "rules.d",)
    assert settings.feeds["iex"].secret.get_secret_value() == "0123"
    assert settings.told == ("desk-slack",)
    assert settings.receivers["desk-mail"].deadline == 60 * SECOND
    for secret in ("0123", "a/b/c", "password", "12345678"):
        assert secret not in repr(settings)
        assert secret not in settings.model_dump_json()


def test_references_take_the_environment_and_files(load, tmp_path):
    (tmp_path / "secret").write_text("5ecret\n", encoding="utf-8")
    feed = load(FEED, KEY="00123").feeds["iex"]
    assert (feed.key.get_secret_value(), feed.secret.get_secret_value()) == ("00123", "5ecret")


def test_what_was_put_in_is_not_looked_at_again(load):
    settings = load('receivers: {a: {urls: ["json://${A}", "json://$${A}"]}}', A="${B}", B="never")
    assert [u.get_secret_value() for u in settings.receivers["a"].urls] == ["json://${B}", "json://${A}"]


def test_a_missing_variable_is_named_where_it_stands(load):
    assert load('calendar: "X${NO}"') == ["rotation.yaml:1:13: error: the environment variable `NO` is not set"]


def test_words_that_yaml_takes_for_something_else_stay_symbols(load):
    settings = load("feeds: {a: {type: alpaca, key: 0123, secret: 1e3, symbols: [ON, NO, 'TRUE', BRK.B, 2026-01-02]}}")
    assert settings.feeds["a"].symbols == ("ON", "NO", "TRUE", "BRK.B", "2026-01-02")
    assert settings.feeds["a"].key.get_secret_value() == "0123"


def test_the_environment_goes_over_the_file(load):
    settings = load(
        "lateness: 5s\nfeeds: {desk-1: {type: simulator, seed: 3}}\nreceivers: {a: {urls: [console://]}}",
        ROTATION_LATENESS="1m",
        ROTATION_FEEDS__DESK_1__SEED="7",
        ROTATION_FEEDS__NEW="{type: simulator, speed: 0}",
        ROTATION_RECEIVERS__A__URLS="['json://x', 'json://y']",
        ROTATION_WEB__LISTEN="[::1]:0",
        ROTATION_SERVICE_HOST="10.0.0.1",
        ROTATION_TOKEN="for somebody else",
    )
    assert settings.lateness == 60 * SECOND
    assert settings.feeds["desk-1"].seed == 7
    assert settings.feeds["new"].speed == 0
    assert [u.get_secret_value() for u in settings.receivers["a"].urls] == ["json://x", "json://y"]
    assert (settings.web.host, settings.web.port, settings.web.loopback) == ("::1", 0, True)


def test_a_wrong_variable_is_named(load):
    assert load("", ROTATION_LATENESS="soon", ROTATION_STORE__DATADIR="x", ROTATION_WEB="{") == [
        "environment: error: ROTATION_STORE__DATADIR: unknown key `datadir`",
        "environment: error: ROTATION_WEB: `web` must have keys of its own",
        "environment: error: ROTATION_LATENESS: `soon` is no duration such as 500ms, 30s, 5m or 2h",
    ]


@pytest.mark.parametrize("secret", ["a: b", "x #y", "'q", "*star", "0123", "null", "!tag", "true"])
def test_a_secret_in_the_environment_is_text_as_it_is(load, secret):
    settings = load("", ROTATION_FEEDS__A__TYPE="alpaca", ROTATION_FEEDS__A__KEY=secret, ROTATION_FEEDS__A__SECRET="s")
    assert settings.feeds["a"].key.get_secret_value() == secret


def test_a_misspelt_variable_is_a_warning_unless_the_file_refers_to_it(tmp_path):
    path = tmp_path / "rotation.yaml"
    path.write_text('calendar: "${ROTATION_CALENDA}"', encoding="utf-8")
    env = {"ROTATION_CALENDA": "XNYS", "ROTATION_LATENES": "1s"}
    loaded = load_settings(path, env)
    assert loaded.settings is not None
    assert [(d.severity, d.message) for d in loaded.diagnostics] == [
        (Level.WARNING, "ROTATION_LATENES is no setting and is ignored")
    ]


@pytest.mark.parametrize("listen", ["0.0.0.0:8600", "[::]:8600", "192.168.1.5:8600", "example.com:80", "*:80"])
def test_other_machines_need_a_token(load, listen):
    assert "and there is no `token`" in load(f"web: {{listen: '{listen}'}}")[0]
    assert load(f"web: {{listen: '{listen}', token: t}}").web.listen == listen


@pytest.mark.parametrize("listen", ["8600", "localhost", "127.0.0.1:", "127.0.0.1:99999", "::1:80", "127.0.0.1:٣"])
def test_an_address_is_host_and_port(load, listen):
    assert "is not HOST:PORT" in load(f"web: {{listen: '{listen}'}}")[0]


def test_without_a_route_everybody_is_told(load):
    assert load("receivers: {a: {urls: [console://]}, b: {urls: [console://]}}").told == ("a", "b")


def test_the_demonstration_needs_nothing(tmp_path):
    settings = load_settings(None, {"ROTATION_WEB__LISTEN": "127.0.0.1:0"}, demo=tmp_path).settings
    assert settings is not None
    assert settings.store.data_dir == tmp_path
    assert settings.clock == "event"
    assert [feed.type for feed in settings.feeds.values()] == ["simulator"]
    assert list(settings.rules[0].glob("*.yaml"))
    assert settings.web.port == 0


def test_a_file_that_cannot_be_read(tmp_path):
    loaded = load_settings(tmp_path / "nothing.yaml", {})
    assert [d.message for d in loaded.diagnostics] == ["cannot be read: No such file or directory"]
    assert loaded.settings is None


def test_a_configuration_is_known_by_its_keys():
    assert is_config(["feeds", "rules"])
    assert is_config(["calendr", "store"])
    assert not is_config(["groups", "aliases"])
    assert not is_config([])


def test_the_schema_lists_every_key():
    schema = config_schema()
    assert {"store", "feeds", "receivers", "route", "web", "lateness"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False
    assert schema["properties"]["lateness"]["type"] == "string"


@given(st.integers(0, LONGEST // 1_000_000))
def test_a_duration_is_read_as_it_is_written(ms):
    assert read_duration(write_duration(ms * 1_000_000)) == ms * 1_000_000


@pytest.mark.parametrize(("text", "hours"), [("1h", 1), ("36h", 36), ("90d", 2160), ("1d12h", 36), ("3660d", 87840)])
def test_an_age_may_be_days_of_24_hours(load, text, hours):
    assert load(f"history_keep: {text}").history_keep == hours * 3_600_000_000_000


@pytest.mark.parametrize("text", ["0d", "59m", "3661d", "4000d1h", "1d1d", "d", "1h1d", "1.5d", "14", "99999999999d"])
def test_an_age_that_makes_no_sense_is_refused(text):
    with pytest.raises(PydanticCustomError):
        read_age(text)


def test_paths_are_relative_to_the_file(load, tmp_path):
    (tmp_path / "bars.csv").write_text("", encoding="utf-8")
    settings = load("feeds: {t: {type: replay, data: bars.csv}}\nstore: {data_dir: /var/lib/rotation}")
    assert settings.feeds["t"].data == tmp_path / "bars.csv"
    assert settings.store.data_dir == Path("/var/lib/rotation")


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("embedded", False),
        ("redis://db:6379/0", False),
        ("redis://:hidden@db:6379/0", True),
        ("unix:///run/v.sock", False),
    ],
)
def test_the_address_of_a_store_is_a_secret_where_it_has_a_password(load, url, secret):
    assert (url in load(f"store: {{url: '{url}'}}").secrets()) is secret


def test_long_pieces_of_the_paths_of_feeds_are_secrets(load):
    secrets = load("feeds: {a: {type: alpaca, url: wss://h/v2/0123456789ab/stream, key: k, secret: s}}").secrets()
    assert "0123456789ab" in secrets
    assert not {"v2", "stream"} & set(secrets)
