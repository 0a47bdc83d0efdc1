"""Every option of who is told and when: what is taken, and what is said of what is not, with its place."""

from __future__ import annotations

import pytest

from monitor.settings import load_settings

BASE = 'receivers: {desk: {urls: ["console://"]}, boss: {urls: ["console://"]}}\n'


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "rotation.yaml"
        path.write_text(text, encoding="utf-8")
        loaded = load_settings(path, {})
        return loaded.settings or [d.render().splitlines()[0].replace(f"{tmp_path}/", "") for d in loaded.diagnostics]

    return load


@pytest.mark.parametrize(
    ("line", "read", "value"),
    [
        ("heartbeat: {to: desk}", lambda s: (s.heartbeat.at, s.heartbeat.days), ("08:30", "sessions")),
        ('heartbeat: {to: [desk, boss], at: "00:05"}', lambda s: s.heartbeat.to, ("desk", "boss")),
        ("heartbeat: {to: desk, days: all}", lambda s: s.heartbeat.days, "all"),
        ("heartbeat: {to: desk, at: 09:15}", lambda s: s.heartbeat.at, "09:15"),
        ("route: {receiver: desk, escalate: [{after: 15m, to: boss}]}", lambda s: s.route.escalate[0].to, ("boss",)),
        ("route: {receiver: desk, escalate: []}", lambda s: s.route.escalate, ()),
        ("route: {receiver: [desk, boss]}", lambda s: s.route.receiver, ("desk", "boss")),
        ("route: {receiver: desk, group_by: theme}", lambda s: s.route.group_by, ("theme",)),
        ("route: {receiver: desk, group_by: ['...']}", lambda s: s.route.group_by, ("...",)),
        ("route: {receiver: desk, group_wait: 0s}", lambda s: s.route.group_wait, 0),
        ("route: {receiver: desk, group_interval: 90s}", lambda s: s.route.group_interval, 90_000_000_000),
        ("route: {receiver: desk, repeat: [15m, next_open]}", lambda s: s.route.repeat, ("15m", "next_open")),
        ("route: {receiver: desk, mute: closed}", lambda s: s.route.mute, ("closed",)),
        ("inhibit: [{source: [a=b], target: ['c=~d'], equal: e}]", lambda s: s.inhibit[0].equal, ("e",)),
        ("mute_times: {lunch: [{times: ['12:00-13:00']}]}", lambda s: s.mute_times["lunch"][0].times, ("12:00-13:00",)),
    ],
)  # fmt: skip
def test_what_is_right_is_taken(load, line, read, value):
    assert read(load(BASE + line)) == value


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("heartbeat: {to: dsk}", "2:17: error: there is no receiver `dsk`: did you mean `desk`?"),
        ("heartbeat: {to: [desk, bos]}", "2:24: error: there is no receiver `bos`"),
        ("heartbeat: {at: '08:30'}", "error: `to`"),
        ("heartbeat: {to: desk, at: '24:00'}", "2:27: error: `at` `24:00` is no time of day"),
        ("heartbeat: {to: desk, at: 8am}", "2:27: error: `at` `8am` is no time of day"),
        ("heartbeat: {to: desk, days: never}", "2:29: error:"),
        ("heartbeat: {to: desk, when: now}", "2:23: error: unknown key `when`"),
        ("route: {receiver: desk, escalate: [{after: 15, to: boss}]}", "2:44: error:"),
        ("route: {receiver: desk, escalate: [{after: 0s, to: boss}]}", "2:44: error:"),
        (
            "route: {receiver: desk, escalate: [{after: 5m, to: boss}, {after: 5m, to: desk}]}",
            "`after` of step 2 is not",
        ),
        ("route: {receiver: desk, escalate: [{after: 15m, to: bos}]}", "2:53: error: there is no receiver `bos`"),
        ("route: {receiver: dsk}", "2:19: error: there is no receiver `dsk`"),
        ("route: {receiver: desk, group_wait: soon}", "2:37: error:"),
        ("route: {receiver: desk, repeat: [tomorrow]}", "2:34: error:"),
        ("route: {receiver: desk, mute: lunch}", "2:31: error: there is no mute time `lunch`"),
        ("route: {receiver: desk, match: [a=b]}", "2:8: error: `route` `match`: the first route takes every alert"),
        ("inhibit: [{source: [a=b], target: ['=~d']}]", "2:36: error:"),
        ("mute_times: {lunch: [{times: ['13']}]}", "2:31: error:"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(load, line, said):
    lines = load(BASE + line)
    assert isinstance(lines, list), "it was taken"
    assert any(each.startswith("rotation.yaml:") and said in each for each in lines), lines


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("digest: soon", "1:50: error:"),
        ("digest: {every: 15m, at: close}", "write `every: 15m`, or `at: close`"),
        ("digest_except: ['x']", "1:58: error:"),
        ("max_per_minute: 0", "1:58: error:"),
        ("flap: {more_than: 0}", "1:60: error:"),
        ("picture: blue", "1:51: error:"),
        ("tell_acks: perhaps", "1:53: error:"),
        ("deadline: 0s", "1:52: error:"),
    ],
)
def test_what_is_wrong_of_a_receiver_is_said_where_it_stands(load, option, said):
    lines = load('receivers: {desk: {urls: ["console://"], ' + option + "}}")
    assert isinstance(lines, list), "it was taken"
    assert any(each.startswith("rotation.yaml:1:") and said in each for each in lines), lines
